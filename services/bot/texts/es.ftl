## Ayuda

help-intro = Guardo un texto hasta que alguien lo lea, una sola vez. Escríbeme:
help-view = id:token – muestra el texto, una sola vez, y lo borra
help-command = Cómo usarme
text-only = Solo puedo guardar texto sin formato, no fotos, archivos, pies de foto, tablas ni enlaces bajo palabras. Envía /help para ver cómo.
edit-ignored = No atiendo a los mensajes editados, así que vale lo que escribiste primero: envía el texto nuevo otra vez en un mensaje aparte.
split-text = Solo guardo lo que empieza con new: – si esto es el resto de un texto más largo, Telegram lo ha partido en dos y solo se guardó la primera parte. Los textos de más de 4096 caracteres necesitan otra vía que un chat.
private-chat-only = Solo respondo en chats privados, para que nadie más lo lea.

## Palabras clave

new-help =
    new:tu texto – guarda el texto y responde id:token
    new 1h:tu texto – lo mismo, pero por una hora como máximo (30m, 12h, 7d, 2w)
new-command = Guardar un texto: new:tu texto
look-help = look:id:token – dice si se ha leído, y no cambia nada
look-command = Preguntar si se ha leído un texto: look:id:token
burn-help = burn:id:token – borra el texto sin que se lea
burn-command = Borrar un texto sin que se lea: burn:id:token

## Qué falla en una petición

no-text = No hay nada que guardar. Escribe new: y tu texto justo detrás, en un solo mensaje.
lifetime-invalid = «{ $lifetime }» no es una duración. Escribe un número y una unidad: new 30m:texto, new 12h:texto, new 7d:texto. No se ha guardado nada.
lifetime-out-of-range = La duración no es posible: { $fault }. No se ha guardado nada.
field-invalid = No puedo guardar eso: { $fault }. Escribe new:tu texto
text-too-long = El texto es demasiado largo: se pueden guardar { $limit } bytes como máximo. No se ha guardado nada.
text-too-long-unknown-limit = El texto es demasiado largo. No se ha guardado nada.
formatting-lost = Tu aplicación muestra con formato una parte de este texto. Si para ello escribiste { $marks }, esos caracteres no están en el texto que guardo. En ese caso bórralo sin leer y envíalo sin formato.
message-ref-invalid = Hay un error al copiar: cópialo otra vez. Debe ser el id:token completo, tal como se lo di a quien lo envió.
link-invalid = Este enlace está dañado: ábrelo otra vez como lo recibiste o pide uno nuevo. No se ha leído nada.
button-outdated = Este botón ya no hace nada. Envía /help para ver qué puedo hacer.

## Qué fue de un mensaje

not-found = Ese mensaje no existe, o desapareció hace mucho.
viewed = Este mensaje ya se leyó. Si no fuiste tú, dalo por descubierto.
viewed-on = Este mensaje se leyó el { $time }. Si no fuiste tú, dalo por descubierto.
burned = Este mensaje se quemó sin leer.
burned-on = Este mensaje se quemó sin leer el { $time }.
expired = Este mensaje caducó sin leer.
expired-on = Este mensaje caducó sin leer el { $time }.
unread = Todavía no se ha leído.
unread-until = Todavía no se ha leído. Caduca el { $time }.
burn-succeeded = Quemado: ya nadie puede leerlo.
viewed-in-this-chat = Este mensaje se abrió en este chat, una vez, y se ha borrado. Si no ves su texto arriba, se perdió por el camino: pide que te lo envíen de nuevo.
viewed-in-this-chat-on = Este mensaje se abrió en este chat el { $time }, una vez, y se ha borrado. Si no ves su texto arriba, se perdió por el camino: pide que te lo envíen de nuevo.

## Qué no se puede mostrar aquí

sealed = Este mensaje se cifró en un navegador y solo se abre allí, con su enlace completo. Sigue sin leer.
passphrase-required = Este mensaje necesita una contraseña. Un chat no es lugar para eso: léelo con mayfly view o por REST.
passphrase-required-in-browser = Este mensaje necesita una contraseña. Un chat no es lugar para eso: léelo en un navegador.
passphrase-locked = Se han probado demasiadas contraseñas con este mensaje. Inténtalo más tarde.

## Problemas

overloaded = Hay demasiadas peticiones en este momento. { $later }
storage-full = En este momento no se pueden guardar más mensajes. { $later }
store-unavailable = No llego al lugar donde se guardan los mensajes. { $later }
try-later = Inténtalo más tarde.
not-stored-try-later = No se ha guardado nada; inténtalo más tarde.
not-shown-try-later = No tengo nada que mostrarte; inténtalo más tarde.
flood-limit-exceeded = Escribes más rápido de lo que puedo responder. No he leído este mensaje y pasaré por alto otros hasta que escribas más despacio: lo que no respondo, no lo he leído.
internal-error = Algo ha fallado por nuestra parte. Inténtalo más tarde.
topic-gone = No puedo escribir en el tema en el que has preguntado, así que no he leído ni guardado nada: pregunta de nuevo en otro tema o fuera de los temas.

## Un enlace a un mensaje

view-offer = Alguien ha dejado un texto para ti. Puedo mostrarlo una sola vez; después se borra.
view-offer-until = Alguien ha dejado un texto para ti, hasta el { $time }. Puedo mostrarlo una sola vez; después se borra.
revealed = Aquí está. Se ha borrado y nadie puede volver a leerlo.

## Botones

button-copy = Copiar
button-share = Compartir
button-open = Abrir en el navegador
button-look = ¿Leído ya?
button-burn = Quemar
button-burn-now = Sí, quemar sin leer
button-keep = Conservar
button-reveal = Mostrar
