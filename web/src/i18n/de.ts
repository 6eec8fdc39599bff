// Deutsch.

import type { Texts } from "./texts.ts";

export default {
    tagline: "Nachrichten, die einmal gelesen werden",
    language: "Sprache",
    newMessage: "Nachricht schreiben",
    tryAgain: "Noch einmal versuchen",
    copy: "Kopieren",
    copied: "Kopiert",
    copyFailed: "Bitte markieren und von Hand kopieren",

    create: {
        title: "Eine Nachricht, die einmal gelesen wird",
        intro: "Sie bekommen einen Link. Wer ihn zuerst öffnet, liest die Nachricht; danach ist sie weg.",
        text: "Nachricht",
        textHint: "Ein Passwort, ein Schlüssel, alles, was nicht herumliegen soll.",
        counter: (used, limit) => `${used} von ${limit} Byte`,
        counterLabel: "Länge",
        lifetime: "Höchstens aufbewahren",
        lifetimeHint: "Ungelesen wird sie danach gelöscht.",
        passphrase: "Kennwort",
        optional: "freiwillig",
        passphraseHint: "Der Leser wird danach gefragt. Teilen Sie es ihm auf einem anderen Weg mit.",
        showPassphrase: "Zeigen",
        plain: "Auch in Telegram und über REST lesbar",
        sealedHint: "Ihr Browser verschlüsselt die Nachricht. Der Schlüssel steht nur im Link.",
        plainHint: "Der Server verschlüsselt die Nachricht und sieht sie, wenn sie ankommt und wenn sie gelesen wird.",
        insecure:
            "Diese Seite wurde ohne HTTPS geöffnet, darum verschlüsselt Ihr Browser nicht. Die Nachricht wird nur " +
            "auf dem Server verschlüsselt.",
        needsToken:
            "Auf diesem Server schreiben nur Leute mit einem Token Nachrichten. Zum Lesen braucht niemand einen.",
        token: "Ihr Token",
        tokenHint: "Sie bekommen ihn vom Betreiber dieses Servers. Er bleibt im Speicher dieses Tabs.",
        tokenMissing: "Geben Sie Ihren Token ein. Es wurde nichts gespeichert.",
        tokenWrong: "Der Server kennt diesen Token nicht. Kopieren Sie ihn noch einmal. Es wurde nichts gespeichert.",
        tokenEnded:
            "Dieser Token wurde widerrufen oder ist abgelaufen. Bitten Sie den Betreiber dieses Servers um einen neuen.",
        tokenForbidden:
            "Mit diesem Token kann man keine Nachrichten schreiben. Bitten Sie den Betreiber um einen anderen.",
        submit: "Link erzeugen",
        submitting: "Wird gespeichert …",
        retrying: "Noch keine Antwort. Es wird erneut gefragt; nichts wird doppelt gespeichert.",
        empty: "Schreiben Sie zuerst etwas.",
        tooLong: (limit) => `Das ist zu lang: Gespeichert werden höchstens ${limit} Byte.`,
        passphraseTooLong: "Das Kennwort ist zu lang: höchstens 1.024 Byte.",
        lifetimeRejected: "So lange bewahrt dieser Server keine Nachrichten auf. Wählen Sie eine kürzere Zeit.",
        unavailable:
            "Der Server antwortet nicht. Nichts ist verloren: Versuchen Sie es noch einmal; nichts wird doppelt " +
            "gespeichert.",
        busy: "Der Server ist ausgelastet. Versuchen Sie es gleich noch einmal.",
        full: "Dieser Server nimmt im Moment keine weiteren Nachrichten an. Versuchen Sie es später noch einmal.",
        failed: "Auf dem Server ist etwas schiefgegangen. Was Sie geschrieben haben, steht noch hier.",
        signIn:
            "Ein Proxy vor dem Server verlangt, dass Sie sich anmelden. Es wurde nichts gespeichert: Kopieren Sie " +
            "Ihren Text, und laden Sie die Seite neu.",
    },

    created: {
        title: "Ihr Link ist fertig",
        intro: "Schicken Sie ihn einem einzigen Menschen. Er gilt einmal, und niemand kann ihn noch einmal anzeigen.",
        link: "Link",
        pair: "Für Telegram und das Terminal",
        pairHint: "Schicken Sie es dem Bot, oder geben Sie es „mayfly view“.",
        showQr: "QR-Code zeigen",
        hideQr: "QR-Code verbergen",
        qrAlt: "QR-Code des Links",
        withPassphrase: "Zum Lesen braucht es auch das Kennwort. Schicken Sie es auf einem anderen Weg als den Link.",
        sealed: "In Ihrem Browser verschlüsselt: Der Schlüssel steht im Link und sonst nirgends.",
        plain: "Auf dem Server verschlüsselt.",
        unread: "Noch nicht gelesen",
        unreadUntil: (time) => `Noch nicht gelesen. Wird ungelesen gelöscht: ${time}.`,
        viewed: (time) => `Gelesen: ${time}`,
        burned: (time) => `Ungelesen zurückgezogen: ${time}`,
        expired: (time) => `Ungelesen abgelaufen: ${time}`,
        reconnecting: "Die Verbindung ist unterbrochen. Es wird erneut versucht …",
        unknown: "Der Server weiß nichts mehr davon",
        status: "Stand",
        burn: "Zurückziehen",
        burnQuestion: "Ungelesen löschen? Der Link gilt dann sofort nicht mehr.",
        burnYes: "Ja, löschen",
        burnNo: "Behalten",
        burning: "Wird gelöscht …",
        burnFailed: "Sie konnte nicht gelöscht werden: Der Server antwortet nicht. Versuchen Sie es noch einmal.",
        another: "Noch eine Nachricht schreiben",
    },

    read: {
        loading: "Die Nachricht wird gesucht …",
        unreadTitle: "Eine Nachricht wartet auf Sie",
        unreadIntro: "Sie kann einmal gelesen werden. Wenn Sie sie öffnen, wird sie auf dem Server gelöscht.",
        unreadSince: (time) => `Ungelesen, gespeichert: ${time}`,
        expires: (time) => `Wird ungelesen gelöscht: ${time}`,
        sealed: "In einem Browser verschlüsselt. Der Schlüssel steht in Ihrem Link; der Server hat ihn nicht.",
        passphraseHint: "Der Absender hat die Nachricht damit geschützt.",
        passphraseMissing: "Geben Sie das Kennwort ein. Die Nachricht ist noch ungelesen.",
        passphraseWrong:
            "Das ist nicht das Kennwort. Die Nachricht ist noch ungelesen. Die Zahl der Versuche ist begrenzt.",
        open: "Nachricht lesen",
        opening: "Wird geöffnet …",
        openingRetry: "Noch keine Antwort. Es wird erneut gefragt; die Nachricht ist nicht verloren.",
        shownTitle: "Ihre Nachricht",
        shownIntro: (time) =>
            `Niemand sonst kann sie lesen. In diesem Tab können Sie sie neu laden bis: ${time}. Wenn Sie sie ` +
            "verbergen, ist sie endgültig gelöscht.",
        shownIntroFinal:
            "Niemand sonst kann sie lesen. Auf dem Server ist sie gelöscht: Kopieren Sie sie, bevor Sie gehen.",
        hide: "Verbergen und löschen",
        finishedTitle: "Sie haben diese Nachricht gelesen",
        finished: "Sie ist gelöscht. Der Link öffnet nichts mehr.",
        erasing: "Wird gelöscht …",
        eraseFailed:
            "Der Server antwortet nicht. Er löscht die Nachricht von selbst, sobald die Zeit zum Neuladen um ist; " +
            "oder versuchen Sie es noch einmal.",
        viewedTitle: "Diese Nachricht wurde gelesen",
        viewed: (time) => `Gelesen wurde sie am ${time}, und sie ist weg.`,
        viewedWarning:
            "Wenn Sie das nicht waren, kennt jemand anderes ihren Inhalt: Betrachten Sie ihn als offengelegt. Sagen " +
            "Sie dem Absender Bescheid und ändern Sie das Passwort.",
        burnedTitle: "Diese Nachricht wurde zurückgezogen",
        burned: (time) => `Jemand, der den Link hatte, hat sie am ${time} ungelesen gelöscht.`,
        expiredTitle: "Diese Nachricht ist abgelaufen",
        expired: (time) => `Niemand hat sie rechtzeitig gelesen. Sie wurde am ${time} ungelesen gelöscht.`,
        expiredHint: "Bitten Sie den Absender um eine neue.",
        unknownTitle: "Diese Nachricht gibt es nicht",
        unknown: "Es gab sie nie, oder sie ist schon so lange weg, dass der Server nichts mehr von ihr weiß.",
        incompleteTitle: "Dieser Link ist unvollständig",
        incomplete:
            "Was nach dem # kommt, fehlt oder ist abgeschnitten. Nichts wurde gelesen: Öffnen Sie den Link noch " +
            "einmal genau so, wie Sie ihn bekommen haben.",
        mistypedTitle: "In diesem Link ist ein Tippfehler",
        mistyped: "Ein Zeichen stimmt nicht. Nichts wurde gelesen: Kopieren Sie den Link noch einmal.",
        keyMissingTitle: "In diesem Link fehlt der Schlüssel",
        keyMissing:
            "Die Nachricht ist verschlüsselt; der letzte Teil des Links, nach dem Punkt, öffnet sie. Sie ist noch " +
            "ungelesen: Öffnen Sie den Link noch einmal genau so, wie Sie ihn bekommen haben.",
        keyMistypedTitle: "Der Schlüssel in diesem Link stimmt nicht",
        keyMistyped:
            "Der letzte Teil des Links, nach dem Punkt, gehört nicht dazu. Die Nachricht ist noch ungelesen: " +
            "Kopieren Sie den Link noch einmal.",
        insecureTitle: "Öffnen Sie diese Seite mit HTTPS",
        insecure:
            "Die Nachricht ist verschlüsselt, und Ihr Browser entschlüsselt nur auf Seiten, die mit HTTPS geöffnet " +
            "wurden. Sie ist noch ungelesen.",
        notSealedTitle: "Der Server widerspricht dem Link",
        notSealed:
            "Der Link enthält einen Schlüssel, die Nachricht wurde also in einem Browser verschlüsselt. Der Server " +
            "sagt, sie sei es nicht. Es wurde nichts gelesen: Kopieren Sie den Link noch einmal, und fragen Sie den " +
            "Absender, wenn es dabei bleibt.",
        substitutedTitle: "Dieser Text wird nicht angezeigt",
        substituted:
            "Der Link enthält einen Schlüssel, die Nachricht wurde also in einem Browser verschlüsselt. Der Server " +
            "hat einen unverschlüsselten Text geschickt und könnte ihn selbst geschrieben haben. Die Nachricht gilt " +
            "jetzt als gelesen: Sagen Sie es dem Absender auf einem anderen Weg, und sagen Sie dem Betreiber " +
            "Bescheid.",
        lockedTitle: "Zu viele falsche Kennwörter",
        locked: (time) => `Die Nachricht ist noch da und ungelesen. Der nächste Versuch ist möglich ab: ${time}.`,
        unreadableTitle: "Die Nachricht lässt sich nicht entschlüsseln",
        unreadable:
            "Sie haben sie bekommen, aber der Schlüssel im Link öffnet sie nicht. Bitten Sie den Absender, sie noch " +
            "einmal zu schicken.",
        unavailableTitle: "Der Server antwortet nicht",
        unavailable: "Die Nachricht ist nicht verloren. Versuchen Sie es gleich noch einmal.",
        busyTitle: "Der Server ist ausgelastet",
        busy: "Die Nachricht ist nicht verloren. Versuchen Sie es gleich noch einmal.",
        failedTitle: "Etwas ist schiefgegangen",
        failed:
            "Der Fehler liegt beim Server, und die Nachricht ist nicht verloren. Versuchen Sie es noch einmal, oder " +
            "sagen Sie dem Betreiber Bescheid.",
        signInTitle: "Melden Sie sich zuerst an",
        signIn:
            "Ein Proxy vor dem Server verlangt, dass Sie sich anmelden. Es wurde nichts gelesen, und nichts ging " +
            "verloren: Laden Sie die Seite neu.",
    },
} satisfies Texts;
