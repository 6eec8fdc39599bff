## 도움말

help-intro = 누군가 한 번 읽을 때까지 글을 보관합니다. 이렇게 보내 주세요:
help-view = id:token – 글을 한 번만 보여 주고 지웁니다
help-command = 사용 방법
text-only = 일반 글만 보관할 수 있습니다. 사진, 파일, 사진 설명, 표, 단어에 걸린 링크는 보관하지 않습니다. 사용 방법은 /help 를 보내 보세요.
edit-ignored = 수정된 메시지는 처리하지 않아 처음 쓰신 내용이 그대로 유효하니, 새 글은 새 메시지로 다시 보내 주세요.
split-text = new: 로 시작하는 글만 보관합니다. 이것이 긴 글의 나머지라면 텔레그램이 글을 둘로 나눈 것이고, 앞부분만 보관되었습니다. 4,096자보다 긴 글은 채팅이 아닌 다른 방법으로 보내야 합니다.
private-chat-only = 다른 사람이 함께 읽지 않도록 개인 채팅에서만 대답합니다.

## 키워드

new-help =
    new:보관할 글 – 글을 보관하고 id:token 을 알려 줍니다
    new 1h:보관할 글 – 똑같이, 하지만 길어야 한 시간 동안 (30m, 12h, 7d, 2w)
new-command = 글 보관하기: new:보관할 글
look-help = look:id:token – 읽혔는지 알려 주고, 아무것도 바꾸지 않습니다
look-command = 글이 읽혔는지 묻기: look:id:token
burn-help = burn:id:token – 읽히지 않은 글을 지웁니다
burn-command = 읽히지 않은 글 지우기: burn:id:token

## 요청에서 잘못된 것

no-text = 보관할 글이 없습니다. new: 바로 뒤에 글을 붙여 한 메시지로 보내 주세요.
lifetime-invalid = “{ $lifetime }”은(는) 기간이 아닙니다. 숫자와 단위를 쓰세요: new 30m:글, new 12h:글, new 7d:글. 아무것도 저장되지 않았습니다.
lifetime-out-of-range = 쓸 수 없는 기간입니다: { $fault }. 아무것도 저장되지 않았습니다.
field-invalid = 보관할 수 없습니다: { $fault }. new:보관할 글 형식으로 보내 주세요
text-too-long = 글이 너무 깁니다. 최대 { $limit }바이트까지 보관할 수 있습니다. 아무것도 저장되지 않았습니다.
text-too-long-unknown-limit = 글이 너무 깁니다. 아무것도 저장되지 않았습니다.
formatting-lost = 앱이 이 텍스트의 일부를 서식으로 표시합니다. 그렇게 하려고 { $marks } 를 입력했다면 그 문자는 보관된 텍스트에 없습니다. 그런 경우 읽지 않은 채로 지우고 서식 없이 다시 보내세요.
message-ref-invalid = 잘못 입력되었습니다. 다시 복사해 주세요. 보낸 사람이 받은 id:token 전체여야 합니다.
link-invalid = 링크가 손상되었습니다. 받은 그대로 다시 열거나 새 링크를 부탁하세요. 아무것도 읽히지 않았습니다.
button-outdated = 이 버튼은 더 이상 쓸 수 없습니다. /help 를 보내면 사용 방법을 볼 수 있습니다.

## 메시지의 상태

not-found = 그런 메시지가 없거나 오래전에 사라졌습니다.
viewed = 이 메시지는 이미 읽혔습니다. 본인이 읽은 것이 아니라면 유출된 것으로 여기세요.
viewed-on = 이 메시지는 { $time }에 읽혔습니다. 본인이 읽은 것이 아니라면 유출된 것으로 여기세요.
burned = 이 메시지는 읽히지 않은 채 지워졌습니다.
burned-on = 이 메시지는 { $time }에 읽히지 않은 채 지워졌습니다.
expired = 이 메시지는 읽히지 않은 채 만료되었습니다.
expired-on = 이 메시지는 { $time }에 읽히지 않은 채 만료되었습니다.
unread = 아직 읽히지 않았습니다.
unread-until = 아직 읽히지 않았습니다. { $time }에 만료됩니다.
burn-succeeded = 지웠습니다. 이제 아무도 읽을 수 없습니다.
viewed-in-this-chat = 이 메시지는 이 채팅에서 한 번 열렸고 지워졌습니다. 위에 글이 보이지 않는다면 오는 길에 사라진 것이니, 다시 보내 달라고 하세요.
viewed-in-this-chat-on = 이 메시지는 { $time }에 이 채팅에서 한 번 열렸고 지워졌습니다. 위에 글이 보이지 않는다면 오는 길에 사라진 것이니, 다시 보내 달라고 하세요.

## 여기서 보여 줄 수 없는 것

sealed = 이 메시지는 브라우저에서 암호화되어, 전체 링크로 브라우저에서만 열립니다. 아직 읽히지 않았습니다.
passphrase-required = 이 메시지에는 암호가 필요합니다. 채팅은 암호를 쓸 곳이 아닙니다. mayfly view 나 REST 로 읽어 주세요.
passphrase-required-in-browser = 이 메시지에는 암호가 필요합니다. 채팅은 암호를 쓸 곳이 아닙니다. 브라우저에서 읽어 주세요.
passphrase-locked = 이 메시지에 암호를 너무 많이 시도했습니다. 나중에 다시 시도하세요.

## 장애

overloaded = 지금 요청이 너무 많습니다. { $later }
storage-full = 지금은 메시지를 더 보관할 수 없습니다. { $later }
store-unavailable = 메시지가 보관된 곳에 연결할 수 없습니다. { $later }
try-later = 나중에 다시 시도해 주세요.
not-stored-try-later = 아무것도 저장되지 않았습니다. 나중에 다시 시도해 주세요.
not-shown-try-later = 보여 드릴 것이 없습니다. 나중에 다시 시도해 주세요.
flood-limit-exceeded = 제가 대답하는 것보다 빨리 쓰고 계십니다. 이 메시지는 읽지 않았고, 더 천천히 쓰실 때까지 다른 메시지도 지나칩니다. 제가 답하지 않은 것은 읽지 않은 것입니다.
internal-error = 저희 쪽에서 문제가 생겼습니다. 나중에 다시 시도해 주세요.
topic-gone = 요청하신 주제에 글을 쓸 수 없어 아무것도 읽거나 보관하지 않았습니다. 다른 주제에서 또는 주제 밖에서 다시 요청해 주세요.

## 메시지로 가는 링크

view-offer = 누군가 글을 남겼습니다. 한 번만 보여 드릴 수 있고, 그 뒤에는 지워집니다.
view-offer-until = 누군가 { $time }까지 볼 수 있는 글을 남겼습니다. 한 번만 보여 드릴 수 있고, 그 뒤에는 지워집니다.
revealed = 여기 있습니다. 글은 지워졌고, 아무도 다시 읽을 수 없습니다.

## 버튼

button-copy = 복사
button-share = 공유
button-open = 브라우저에서 열기
button-look = 읽혔나요?
button-burn = 지우기
button-burn-now = 네, 읽히기 전에 지웁니다
button-keep = 그대로 두기
button-reveal = 보기
