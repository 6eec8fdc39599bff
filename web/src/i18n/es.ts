// Español.

import type { Texts } from "./texts.ts";

export default {
    tagline: "Mensajes que se leen una sola vez",
    language: "Idioma",
    newMessage: "Escribir un mensaje",
    tryAgain: "Reintentar",
    copy: "Copiar",
    copied: "Copiado",
    copyFailed: "Selecciónalo y cópialo a mano",

    create: {
        title: "Escribe un mensaje que se lee una sola vez",
        intro: "Recibes un enlace. Quien lo abra primero lee el mensaje; después desaparece.",
        text: "Mensaje",
        textHint: "Una contraseña, una clave, todo lo que no debe quedar por ahí.",
        counter: (used, limit) => `${used} de ${limit} bytes`,
        counterLabel: "Longitud",
        lifetime: "Guardarlo como máximo",
        lifetimeHint: "Si nadie lo lee, después se borra.",
        passphrase: "Frase de paso",
        optional: "opcional",
        passphraseHint: "Se le pedirá a quien lo lea. Comunícasela por otro medio.",
        showPassphrase: "Mostrar",
        plain: "También legible en Telegram y por REST",
        sealedHint: "Tu navegador cifra el mensaje. La clave está solo en el enlace.",
        plainHint: "El servidor cifra el mensaje, y lo ve cuando llega y cuando se lee.",
        insecure:
            "Esta página se abrió sin HTTPS, por eso tu navegador no cifra. El mensaje se cifra solo en el servidor.",
        needsToken: "En este servidor solo escriben mensajes las personas con un token. Para leerlos no hace falta.",
        token: "Tu token",
        tokenHint: "Te lo da quien administra este servidor. Queda en la memoria de esta pestaña.",
        tokenMissing: "Introduce tu token. No se ha guardado nada.",
        tokenWrong: "El servidor no conoce este token. Cópialo de nuevo. No se ha guardado nada.",
        tokenEnded: "Este token fue revocado o ha caducado. Pide otro a quien administra este servidor.",
        tokenForbidden: "Este token no permite escribir mensajes. Pide otro a quien administra este servidor.",
        submit: "Crear enlace",
        submitting: "Guardando…",
        retrying: "Aún no hay respuesta. Se pregunta de nuevo; nada se guarda dos veces.",
        empty: "Primero escribe algo.",
        tooLong: (limit) => `Es demasiado largo: se guardan como máximo ${limit} bytes.`,
        passphraseTooLong: "La frase de paso es demasiado larga: como máximo 1024 bytes.",
        lifetimeRejected: "Este servidor no guarda mensajes tanto tiempo. Elige un plazo más corto.",
        unavailable: "El servidor no responde. No se ha perdido nada: reinténtalo; nada se guarda dos veces.",
        busy: "El servidor está ocupado. Reinténtalo en un momento.",
        full: "Este servidor no admite más mensajes en este momento. Inténtalo más tarde.",
        failed: "Algo falló en el servidor. Lo que escribiste sigue aquí.",
        signIn:
            "Un proxy delante del servidor te pide que inicies sesión. No se ha guardado nada: copia tu texto y " +
            "vuelve a cargar la página.",
    },

    created: {
        title: "Tu enlace está listo",
        intro: "Envíalo a una sola persona. Sirve una vez, y nadie puede volver a mostrártelo.",
        link: "Enlace",
        pair: "Para Telegram y la terminal",
        pairHint: "Envíalo al bot, o dáselo a «mayfly view».",
        showQr: "Mostrar código QR",
        hideQr: "Ocultar código QR",
        qrAlt: "Código QR del enlace",
        withPassphrase: "Para leerlo hace falta también la frase de paso. Envíala por otro medio que el enlace.",
        sealed: "Cifrado en tu navegador: la clave está en el enlace y en ningún otro lugar.",
        plain: "Cifrado en el servidor.",
        unread: "Aún sin leer",
        unreadUntil: (time) => `Aún sin leer. Se borra sin leer: ${time}.`,
        viewed: (time) => `Leído: ${time}`,
        burned: (time) => `Retirado sin leer: ${time}`,
        expired: (time) => `Caducado sin leer: ${time}`,
        reconnecting: "La conexión se ha interrumpido. Reintentando…",
        unknown: "El servidor ya no sabe nada de él",
        status: "Estado",
        burn: "Retirarlo",
        burnQuestion: "¿Borrarlo sin leer? El enlace deja de funcionar al instante.",
        burnYes: "Sí, borrarlo",
        burnNo: "Conservarlo",
        burning: "Borrando…",
        burnFailed: "No se pudo borrar: el servidor no responde. Reinténtalo.",
        another: "Escribir otro mensaje",
    },

    read: {
        loading: "Buscando el mensaje…",
        unreadTitle: "Te espera un mensaje",
        unreadIntro: "Se puede leer una sola vez. Al abrirlo se borra del servidor.",
        unreadSince: (time) => `Sin leer, guardado: ${time}`,
        expires: (time) => `Se borra sin leer: ${time}`,
        sealed: "Cifrado en un navegador. La clave está en tu enlace; el servidor no la tiene.",
        passphraseHint: "Quien lo envió protegió el mensaje con ella.",
        passphraseMissing: "Escribe la frase de paso. El mensaje sigue sin leer.",
        passphraseWrong: "Esa no es la frase de paso. El mensaje sigue sin leer. El número de intentos es limitado.",
        open: "Leer el mensaje",
        opening: "Abriendo…",
        openingRetry: "Aún no hay respuesta. Se pregunta de nuevo; el mensaje no se ha perdido.",
        shownTitle: "Tu mensaje",
        shownIntro: (time) =>
            `Nadie más puede leerlo. Puedes recargarlo en esta pestaña hasta: ${time}. Al ocultarlo se borra para ` +
            "siempre.",
        shownIntroFinal: "Nadie más puede leerlo. Ya está borrado del servidor: cópialo antes de salir.",
        hide: "Ocultar y borrar",
        finishedTitle: "Has leído este mensaje",
        finished: "Está borrado. El enlace ya no abre nada.",
        erasing: "Borrando…",
        eraseFailed:
            "El servidor no responde. Borra el mensaje por sí mismo cuando acabe el plazo para recargarlo; o " +
            "reinténtalo.",
        viewedTitle: "Este mensaje ya se leyó",
        viewed: (time) => `Se leyó el ${time} y ya no existe.`,
        viewedWarning:
            "Si no fuiste tú, otra persona tiene su contenido: dalo por expuesto. Avisa a quien lo envió y cambia " +
            "la contraseña.",
        burnedTitle: "Este mensaje fue retirado",
        burned: (time) => `Alguien que tenía el enlace lo borró sin leer el ${time}.`,
        expiredTitle: "Este mensaje ha caducado",
        expired: (time) => `Nadie lo leyó a tiempo. Se borró sin leer el ${time}.`,
        expiredHint: "Pide uno nuevo a quien lo envió.",
        unknownTitle: "No existe tal mensaje",
        unknown: "Nunca existió, o desapareció hace tanto que el servidor ya no sabe nada de él.",
        incompleteTitle: "Este enlace está incompleto",
        incomplete:
            "Lo que viene después de # falta o está cortado. No se ha leído nada: abre de nuevo el enlace tal como " +
            "lo recibiste.",
        mistypedTitle: "Este enlace tiene un error",
        mistyped: "Uno de sus caracteres no es correcto. No se ha leído nada: copia de nuevo el enlace.",
        keyMissingTitle: "A este enlace le falta la clave",
        keyMissing:
            "El mensaje está cifrado, y lo abre la última parte del enlace, después del punto. Sigue sin leer: abre " +
            "de nuevo el enlace tal como lo recibiste.",
        keyMistypedTitle: "La clave de este enlace no es correcta",
        keyMistyped:
            "La última parte del enlace, después del punto, no le corresponde. El mensaje sigue sin leer: copia de " +
            "nuevo el enlace.",
        insecureTitle: "Abre esta página con HTTPS",
        insecure:
            "El mensaje está cifrado, y tu navegador solo descifra en páginas abiertas con HTTPS. El mensaje sigue " +
            "sin leer.",
        notSealedTitle: "El servidor contradice al enlace",
        notSealed:
            "El enlace tiene una clave, así que el mensaje se cifró en un navegador. El servidor dice que no. No se " +
            "ha leído nada: copia de nuevo el enlace y, si sigue igual, pregunta a quien lo envió.",
        substitutedTitle: "Este texto no se muestra",
        substituted:
            "El enlace tiene una clave, así que el mensaje se cifró en un navegador. El servidor envió un texto sin " +
            "cifrar, que podría haber escrito él mismo. El mensaje cuenta ahora como leído: avisa por otro medio a " +
            "quien lo envió, y también a quien administra el servidor.",
        lockedTitle: "Demasiadas frases de paso erróneas",
        locked: (time) => `El mensaje sigue ahí, sin leer. Podrás reintentarlo a partir de: ${time}.`,
        unreadableTitle: "El mensaje no se puede descifrar",
        unreadable: "Se te entregó, pero la clave del enlace no lo abre. Pide a quien lo envió que lo envíe otra vez.",
        unavailableTitle: "El servidor no responde",
        unavailable: "El mensaje no se ha perdido. Reinténtalo en un momento.",
        busyTitle: "El servidor está ocupado",
        busy: "El mensaje no se ha perdido. Reinténtalo en un momento.",
        failedTitle: "Algo salió mal",
        failed:
            "El fallo es del servidor y el mensaje no se ha perdido. Reinténtalo, o avisa a quien administra el " +
            "servidor.",
        signInTitle: "Primero inicia sesión",
        signIn:
            "Un proxy delante del servidor te pide que inicies sesión. No se ha leído ni perdido nada: vuelve a " +
            "cargar la página.",
    },
} satisfies Texts;
