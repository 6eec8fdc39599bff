## Ajuda

help-intro = Guardo um texto até alguém o ler, uma única vez. Escreva-me:
help-view = id:token – mostra o texto, uma única vez, e apaga-o
help-command = Como me usar
text-only = Só posso guardar texto simples, não fotos, ficheiros, legendas, tabelas nem ligações sob palavras. Envie /help para ver como.
edit-ignored = Não atendo a mensagens editadas, por isso vale o que escreveu primeiro: envie o texto novo outra vez numa mensagem à parte.
split-text = Só guardo o que começa por new: – se isto é o resto de um texto mais longo, o Telegram dividiu-o em dois e só a primeira parte foi guardada. Textos com mais de 4096 caracteres precisam de outro caminho que não um chat.
private-chat-only = Só respondo em chats privados, para que mais ninguém leia.

## Palavras-chave

new-help =
    new:seu texto – guarda o texto e responde id:token
    new 1h:seu texto – o mesmo, mas por uma hora no máximo (30m, 12h, 7d, 2w)
new-command = Guardar um texto: new:seu texto
look-help = look:id:token – diz se já foi lido, e não muda nada
look-command = Perguntar se um texto já foi lido: look:id:token
burn-help = burn:id:token – apaga o texto sem ser lido
burn-command = Apagar um texto sem ser lido: burn:id:token

## O que está errado num pedido

no-text = Não há nada para guardar. Escreva new: e o seu texto logo a seguir, numa só mensagem.
lifetime-invalid = “{ $lifetime }” não é uma duração. Escreva um número e uma unidade: new 30m:texto, new 12h:texto, new 7d:texto. Nada foi guardado.
lifetime-out-of-range = A duração não é possível: { $fault }. Nada foi guardado.
field-invalid = Não posso guardar isso: { $fault }. Escreva new:seu texto
text-too-long = O texto é longo demais: podem ser guardados { $limit } bytes no máximo. Nada foi guardado.
text-too-long-unknown-limit = O texto é longo demais. Nada foi guardado.
formatting-lost = Seu aplicativo mostra parte deste texto formatada. Se você digitou { $marks } para isso, esses caracteres não estão no texto que eu guardo. Nesse caso, apague-o sem ler e envie o texto sem formatação.
message-ref-invalid = Há um erro na cópia: copie outra vez. Tem de ser o id:token inteiro, como o dei a quem o enviou.
link-invalid = Este link está danificado: abra-o outra vez como o recebeu ou peça um novo. Nada foi lido.
button-outdated = Este botão já não faz nada. Envie /help para ver o que posso fazer.

## O que aconteceu a uma mensagem

not-found = Essa mensagem não existe, ou já desapareceu há muito.
viewed = Esta mensagem já foi lida. Se não foi você, considere-a exposta.
viewed-on = Esta mensagem foi lida em { $time }. Se não foi você, considere-a exposta.
burned = Esta mensagem foi queimada sem ser lida.
burned-on = Esta mensagem foi queimada sem ser lida em { $time }.
expired = Esta mensagem expirou sem ser lida.
expired-on = Esta mensagem expirou sem ser lida em { $time }.
unread = Ainda não foi lida.
unread-until = Ainda não foi lida. Expira em { $time }.
burn-succeeded = Queimada: já ninguém a pode ler.
viewed-in-this-chat = Esta mensagem foi aberta neste chat, uma vez, e foi apagada. Se você não vê o texto acima, ele se perdeu no caminho: peça que o enviem de novo.
viewed-in-this-chat-on = Esta mensagem foi aberta neste chat em { $time }, uma vez, e foi apagada. Se você não vê o texto acima, ele se perdeu no caminho: peça que o enviem de novo.

## O que não se pode mostrar aqui

sealed = Esta mensagem foi cifrada num navegador e só abre lá, com o link completo. Continua por ler.
passphrase-required = Esta mensagem precisa de uma senha. Um chat não é lugar para isso: leia-a com mayfly view ou por REST.
passphrase-required-in-browser = Esta mensagem precisa de uma senha. Um chat não é lugar para isso: leia-a num navegador.
passphrase-locked = Foram tentadas senhas demais nesta mensagem. Tente mais tarde.

## Problemas

overloaded = Há pedidos demais neste momento. { $later }
storage-full = Neste momento não é possível guardar mais mensagens. { $later }
store-unavailable = Não consigo chegar ao lugar onde as mensagens são guardadas. { $later }
try-later = Tente mais tarde.
not-stored-try-later = Nada foi guardado; tente mais tarde.
not-shown-try-later = Não tenho nada para mostrar; tente mais tarde.
flood-limit-exceeded = Você escreve mais depressa do que consigo responder. Não li esta mensagem e vou ignorar outras até que escreva mais devagar: o que não respondo, não li.
internal-error = Algo correu mal do nosso lado. Tente mais tarde.
topic-gone = Não consigo escrever no tópico em que perguntou, por isso não li nem guardei nada: pergunte de novo noutro tópico ou fora dos tópicos.

## Um link para uma mensagem

view-offer = Alguém deixou um texto para você. Posso mostrá-lo uma única vez; depois é apagado.
view-offer-until = Alguém deixou um texto para você, até { $time }. Posso mostrá-lo uma única vez; depois é apagado.
revealed = Aqui está. Foi apagado, e ninguém o pode ler outra vez.

## Botões

button-copy = Copiar
button-share = Partilhar
button-open = Abrir no navegador
button-look = Já foi lida?
button-burn = Queimar
button-burn-now = Sim, queimar sem ler
button-keep = Manter
button-reveal = Mostrar
