// Español.

import type { Texts } from "../texts.ts";

/** The error if a proxy in front of the server requires a login. */
const SIGN_IN = "Un proxy delante del servidor pide que inicie sesión: vuelva a cargar la página.";

export default {
    title: "Administración",
    lock: "Bloquear",
    login: {
        intro: "Aquí se le indica al bot cómo iniciar sesión en Telegram.",
        token: "Token de administración",
        tokenHint: "Lo muestra «mayfly token». Queda en la memoria de esta pestaña y se olvida al salir de la página.",
        logIn: "Abrir",
        loggingIn: "Abriendo…",
        empty: "Introduzca el token de administración.",
        wrong: "Ese no es el token de administración.",
        locked: "Bloqueado. El token se ha olvidado.",
        idle: "Bloqueado, porque nadie ha usado la página durante un rato. El token se ha olvidado.",
        rejected: "Bloqueado: el servidor ya no acepta el token.",
        errors: {
            unavailable: "El servidor no responde. Inténtelo de nuevo dentro de un momento.",
            busy: "El servidor está ocupado. Inténtelo de nuevo dentro de un momento.",
            signIn: SIGN_IN,
            failed: "Algo ha fallado en el servidor.",
        },
    },

    bot: {
        title: "El bot",
        loading: "Buscando el bot…",
        unavailable: "El bot no responde. Se intenta de nuevo…",
        states: {
            UNSPECIFIED: "No se conoce su estado",
            WAITING_FOR_STORE: "Espera al almacén",
            WAITING_FOR_CONFIG: "Espera una configuración activa",
            SIGNING_IN: "Inicia sesión en Telegram…",
            TOKEN_REFUSED: "Telegram rechaza su token",
            TELEGRAM_UNREACHABLE: "No se puede acceder a Telegram. El bot lo intenta de nuevo por sí mismo.",
            CONFLICT: "Otro programa recibe los mensajes de este bot",
            WEBHOOK_REFUSED: "Telegram no acepta la dirección de su webhook",
            SERVING: "Responde a sus chats",
        },
        mode: "Recibe por",
        lastUpdate: "Última recepción",
        never: "ninguna todavía",
        queued: "En espera",
        unanswered: "Sin respuesta",
        version: "Versión",
    },

    configs: {
        title: "Configuraciones",
        intro: "El bot usa la activa que se añadió en último lugar.",
        none: "Todavía no hay ninguna. Añada una y el bot iniciará sesión con ella de inmediato.",
        add: "Añadir una configuración",
        used: "en uso",
        active: "activa",
        inactive: "inactiva",
        person: "La cuenta de una persona: el bot no la usa",
        newestPerson: "La cuenta de una persona, y la más reciente activa: el bot no usa ninguna",
        newer: "Hay una más reciente activa: el bot usa esa",
        newerPerson: "Hay una más reciente activa, la cuenta de una persona: el bot no usa ninguna",
        known: (end) => `guardado, termina en …${end}`,
        set: "guardado",
        botId: "ID del bot",
        changed: (time) => `Cambiada: ${time}`,
        test: "Probar",
        testing: "Preguntando a Telegram…",
        edit: "Editar",
        activate: "Activar",
        deactivate: "Desactivar",
        delete: "Eliminar",
        deleteQuestion: (name) => `¿Eliminar «${name}» para siempre? Sus secretos no se pueden recuperar.`,
        deleteYes: "Sí, eliminarla",
        deleteNo: "Conservarla",
    },

    tests: {
        UNSPECIFIED: "No se sabe qué ha dicho Telegram.",
        OK: (name) => `Funciona: Telegram conoce este bot como ${name}.`,
        TOKEN_REFUSED: "Telegram rechaza el token del bot. Cópielo de nuevo de @BotFather.",
        TELEGRAM_UNREACHABLE: "Ahora no se puede acceder a Telegram. Inténtelo más tarde.",
        unavailable: "El bot no responde, así que no se ha preguntado a Telegram.",
    },

    form: {
        addTitle: "Añadir una configuración",
        editTitle: (name) => `Editar «${name}»`,
        sessionName: "Nombre",
        sessionNameHint: "Para que usted la reconozca.",
        apiId: "ID de la API",
        apiIdHint: "Un número, de my.telegram.org, en «API development tools».",
        apiHash: "Hash de la API",
        apiHashHint: "Del mismo lugar.",
        botToken: "Token del bot",
        botTokenHint: "Lo da @BotFather cuando se le envía /newbot: cifras, dos puntos y letras.",
        keep: (known) => `Está ${known}. Déjelo vacío para conservarlo.`,
        show: "Mostrar",
        isActive: "Activa",
        isActiveHint: "El bot puede usarla.",
        isBot: "Es un bot",
        isBotHint: "No la cuenta de una persona. El servicio solo usa bots.",
        save: "Guardar",
        saving: "Guardando…",
        cancel: "Cancelar",
        errors: {
            sessionName: "Indique un nombre de 255 caracteres como máximo.",
            apiId: "Indique un número entre 1 y 2147483647.",
            apiHash: "Indique el hash tal como lo muestra my.telegram.org, sin espacios.",
            botToken:
                "Indique el token tal como lo muestra @BotFather: cifras, dos puntos y luego letras, cifras, _ y -.",
        },
    },

    errors: {
        unavailable: "El servidor no responde. Mire la lista antes de intentarlo de nuevo: puede que ya esté hecho.",
        busy: "El servidor está ocupado. Inténtelo de nuevo dentro de un momento.",
        signIn: SIGN_IN,
        failed: "Algo ha fallado en el servidor. Mire la lista antes de intentarlo de nuevo.",
        configUnknown: "Otra persona la ha eliminado.",
    },
} satisfies Texts;
