## Hilfe

help-intro = Ich bewahre einen Text auf, bis ihn jemand liest, ein einziges Mal. Schreib mir:
help-view = id:token – zeigt den Text, ein einziges Mal, und löscht ihn
help-command = So bedienst du mich
text-only = Ich kann nur reinen Text aufbewahren, keine Fotos, Dateien, Bildunterschriften, Tabellen oder Links unter Wörtern. /help zeigt, wie.
edit-ignored = Auf bearbeitete Nachrichten gehe ich nicht ein, es gilt, was du zuerst geschrieben hast: Schick den neuen Text noch einmal als eigene Nachricht.
split-text = Ich bewahre nur auf, was mit new: beginnt. Wenn das der Rest eines längeren Textes ist, hat Telegram ihn zerteilt, und nur der erste Teil wurde aufbewahrt. Texte mit mehr als 4.096 Zeichen brauchen einen anderen Weg als einen Chat.
private-chat-only = Ich antworte nur in privaten Chats, damit niemand mitliest.

## Schlüsselwörter

new-help =
    new:dein Text – bewahrt den Text auf und antwortet id:token
    new 1h:dein Text – ebenso, aber höchstens eine Stunde (30m, 12h, 7d, 2w)
new-command = Einen Text aufbewahren: new:dein Text
look-help = look:id:token – sagt, ob er gelesen wurde, und ändert nichts
look-command = Fragen, ob ein Text gelesen wurde: look:id:token
burn-help = burn:id:token – löscht den Text ungelesen
burn-command = Einen Text ungelesen löschen: burn:id:token

## Was an einer Bitte nicht stimmt

no-text = Da ist nichts aufzubewahren. Schreib new: und direkt dahinter deinen Text, in einer Nachricht.
lifetime-invalid = „{ $lifetime }“ ist keine Dauer. Schreib eine Zahl und eine Einheit: new 30m:Text, new 12h:Text, new 7d:Text. Nichts wurde gespeichert.
lifetime-out-of-range = Diese Dauer geht nicht: { $fault }. Nichts wurde gespeichert.
field-invalid = Das kann ich nicht aufbewahren: { $fault }. Schreib new:dein Text
text-too-long = Der Text ist zu lang: höchstens { $limit } Bytes können aufbewahrt werden. Nichts wurde gespeichert.
text-too-long-unknown-limit = Der Text ist zu lang. Nichts wurde gespeichert.
formatting-lost = Deine App zeigt einen Teil dieses Textes formatiert. Falls du dafür { $marks } getippt hast, fehlen diese Zeichen in dem Text, den ich aufbewahre. Lösche ihn dann ungelesen und schick ihn ohne Formatierung.
message-ref-invalid = Hier hat sich ein Fehler eingeschlichen: kopiere es noch einmal. Es muss das ganze id:token sein, so wie ich es dem Absender gegeben habe.
link-invalid = Dieser Link ist beschädigt: öffne ihn noch einmal so, wie du ihn bekommen hast, oder bitte um einen neuen. Nichts wurde gelesen.
button-outdated = Dieser Knopf tut nichts mehr. /help zeigt, was ich kann.

## Was aus einer Nachricht wurde

not-found = Diese Nachricht gibt es nicht, oder es gibt sie lange nicht mehr.
viewed = Diese Nachricht wurde gelesen. Wenn nicht von dir, betrachte sie als bekannt geworden.
viewed-on = Diese Nachricht wurde gelesen: { $time }. Wenn nicht von dir, betrachte sie als bekannt geworden.
burned = Diese Nachricht wurde ungelesen verbrannt.
burned-on = Diese Nachricht wurde ungelesen verbrannt: { $time }.
expired = Diese Nachricht ist ungelesen abgelaufen.
expired-on = Diese Nachricht ist ungelesen abgelaufen: { $time }.
unread = Noch nicht gelesen.
unread-until = Noch nicht gelesen. Läuft ab: { $time }.
burn-succeeded = Verbrannt: niemand kann sie mehr lesen.
viewed-in-this-chat = Diese Nachricht wurde in diesem Chat geöffnet, einmal, und ist gelöscht. Wenn ihr Text oben nicht steht, ging er unterwegs verloren: Bitte um einen neuen.
viewed-in-this-chat-on = Diese Nachricht wurde in diesem Chat geöffnet, einmal ({ $time }), und ist gelöscht. Wenn ihr Text oben nicht steht, ging er unterwegs verloren: Bitte um einen neuen.

## Was sich hier nicht zeigen lässt

sealed = Diese Nachricht wurde in einem Browser verschlüsselt und öffnet sich nur dort, mit ihrem ganzen Link. Sie ist noch ungelesen.
passphrase-required = Diese Nachricht verlangt eine Passphrase. Ein Chat ist nicht der Ort dafür: lies sie mit mayfly view oder über REST.
passphrase-required-in-browser = Diese Nachricht verlangt eine Passphrase. Ein Chat ist nicht der Ort dafür: lies sie in einem Browser.
passphrase-locked = Für diese Nachricht wurden zu viele Passphrasen probiert. Versuch es später.

## Störungen

overloaded = Gerade sind es zu viele Anfragen. { $later }
storage-full = Im Moment können keine weiteren Nachrichten aufbewahrt werden. { $later }
store-unavailable = Ich erreiche den Ort nicht, an dem die Nachrichten liegen. { $later }
try-later = Bitte versuch es später noch einmal.
not-stored-try-later = Nichts wurde gespeichert; bitte versuch es später noch einmal.
not-shown-try-later = Ich kann dir nichts zeigen; bitte versuch es später noch einmal.
flood-limit-exceeded = Du schreibst schneller, als ich antworten kann. Ich habe diese Nachricht nicht gelesen und übergehe auch weitere, bis du langsamer schreibst: Was ich nicht beantworte, habe ich nicht gelesen.
internal-error = Bei uns ist etwas schiefgegangen. Bitte versuch es später noch einmal.
topic-gone = Ich kann in das Thema, in dem du gefragt hast, nicht schreiben und habe deshalb nichts gelesen und nichts aufbewahrt: Frag in einem anderen Thema oder außerhalb von Themen noch einmal.

## Ein Link zu einer Nachricht

view-offer = Jemand hat dir einen Text hinterlassen. Ich kann ihn ein einziges Mal zeigen, dann ist er gelöscht.
view-offer-until = Jemand hat dir einen Text hinterlassen, bis { $time }. Ich kann ihn ein einziges Mal zeigen, dann ist er gelöscht.
revealed = Hier ist er. Er ist gelöscht, und niemand kann ihn noch einmal lesen.

## Knöpfe

button-copy = Kopieren
button-share = Teilen
button-open = Im Browser öffnen
button-look = Schon gelesen?
button-burn = Verbrennen
button-burn-now = Ja, ungelesen verbrennen
button-keep = Behalten
button-reveal = Zeigen
