# What the bot says. Every language has the same messages with the same variables; a test holds them together.
# Sent as plain text: no markup. Notices above the chat hold at most 200 characters.

## Help

help-intro = I keep a text until somebody reads it, once. Write to me:
help-view = id:token – shows the text, once, and erases it
help-command = How to use me
text-only = I can only keep plain text, no photos, files, captions, tables or links under words. Send /help to see how.
edit-ignored = I do not act on edited messages, so what you wrote first still counts: send the new text again as a message of its own.
split-text = I keep only what begins with new: – if this is the rest of a longer text, Telegram has cut it in two, and only the first part was kept. Longer texts than 4,096 characters need another way than a chat.
private-chat-only = I answer in private chats only, so that nobody else reads along.

## Keywords

new-help =
    new:your text – keeps the text and answers id:token
    new 1h:your text – the same, but for an hour at most (30m, 12h, 7d, 2w)
new-command = Keep a text: new:your text
look-help = look:id:token – tells whether it was read, and changes nothing
look-command = Ask whether a text was read: look:id:token
burn-help = burn:id:token – erases the text unread
burn-command = Erase a text unread: burn:id:token

## What is wrong with a request

no-text = There is nothing to keep. Write new: and your text right behind it, in one message.
lifetime-invalid = “{ $lifetime }” is no lifetime. Write a number and a unit: new 30m:text, new 12h:text, new 7d:text. Nothing was stored.
lifetime-out-of-range = The lifetime does not fit: { $fault }. Nothing was stored.
field-invalid = I cannot keep that: { $fault }. Write new:your text
text-too-long = The text is too long: at most { $limit } bytes can be kept. Nothing was stored.
text-too-long-unknown-limit = The text is too long. Nothing was stored.
formatting-lost = Your app shows a part of this text formatted. If you typed { $marks } for that, these characters are not in the text that I keep. Burn it then, and send the text without formatting.
message-ref-invalid = This is mistyped: copy it again. It must be the whole id:token, as I gave it to its sender.
link-invalid = This link is damaged: open it again as you got it, or ask for a new one. Nothing was read.
button-outdated = This button does nothing any more. Send /help to see what I can do.

## What became of a message

not-found = There is no such message, or it is long gone.
viewed = This message was read. If that was not you, treat it as exposed.
viewed-on = This message was read on { $time }. If that was not you, treat it as exposed.
burned = This message was burned unread.
burned-on = This message was burned unread on { $time }.
expired = This message expired unread.
expired-on = This message expired unread on { $time }.
unread = Not read yet.
unread-until = Not read yet. It expires on { $time }.
burn-succeeded = Burned: nobody can read it any more.
viewed-in-this-chat = This message was read from this chat, and is erased. If you do not see its text above, it was lost on its way: ask for it anew.
viewed-in-this-chat-on = This message was read on { $time } from this chat, and is erased. If you do not see its text above, it was lost on its way: ask for it anew.

## What cannot be shown here

sealed = This message was encrypted by its sender. Open it in a browser, by its link. It is still unread.
passphrase-required = This message needs a passphrase. A chat is no place for that: read it with mayfly view, or over REST.
passphrase-required-in-browser = This message needs a passphrase. A chat is no place for that: read it in a browser.
passphrase-locked = Too many passphrases were tried on this message. Try later.

## Failures

overloaded = Too many requests at the moment. { $later }
storage-full = No more messages can be kept at the moment. { $later }
store-unavailable = I cannot reach the place where messages are kept. { $later }
try-later = Please try again later.
not-stored-try-later = Nothing was stored; please try again later.
not-shown-try-later = I have nothing to show you; please try again later.
flood-limit-exceeded = You write faster than I can answer. I did not read this message, and will pass over others too until you write more slowly: what I do not answer I have not read.
internal-error = Something went wrong on our side. Please try again later.
topic-gone = I cannot write to the topic in which you asked, so I neither read nor kept anything: ask again in another topic or outside of topics.

## A link to a message

view-offer = Somebody has left a text for you. I can show it once; then it is erased.
view-offer-until = Somebody has left a text for you, until { $time }. I can show it once; then it is erased.
revealed = Here it is. It is erased, and nobody can read it again.

## Buttons

button-copy = Copy
button-share = Share
button-open = Open in browser
button-look = Read yet?
button-burn = Burn
button-burn-now = Yes, burn it unread
button-keep = Keep it
button-reveal = Reveal
