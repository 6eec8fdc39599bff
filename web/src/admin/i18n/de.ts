// Deutsch.

import type { Texts } from "../texts.ts";

export default {
    title: "Verwaltung",
    lock: "Sperren",
    login: {
        intro: "Hier sagen Sie dem Bot, wie er sich bei Telegram anmeldet.",
        token: "Verwaltungs-Token",
        tokenHint:
            "„mayfly token“ zeigt ihn. Er bleibt im Speicher dieses Tabs und wird vergessen, wenn Sie die Seite " +
            "verlassen.",
        logIn: "Öffnen",
        loggingIn: "Wird geöffnet …",
        empty: "Geben Sie den Verwaltungs-Token ein.",
        wrong: "Das ist nicht der Verwaltungs-Token.",
        locked: "Gesperrt. Der Token ist vergessen.",
        idle: "Gesperrt, weil die Seite eine Weile nicht benutzt wurde. Der Token ist vergessen.",
        rejected: "Gesperrt: Der Server nimmt den Token nicht mehr an.",
    },

    bot: {
        title: "Der Bot",
        loading: "Der Bot wird gesucht …",
        unavailable: "Der Bot antwortet nicht. Es wird erneut versucht …",
        states: {
            UNSPECIFIED: "Sein Zustand ist nicht bekannt",
            WAITING_FOR_STORE: "Wartet auf den Speicherdienst",
            WAITING_FOR_CONFIG: "Wartet auf eine aktive Konfiguration",
            SIGNING_IN: "Meldet sich bei Telegram an …",
            TOKEN_REFUSED: "Telegram lehnt seinen Token ab",
            TELEGRAM_UNREACHABLE: "Telegram ist nicht erreichbar. Er versucht es von selbst wieder.",
            CONFLICT: "Ein anderes Programm empfängt die Nachrichten dieses Bots",
            WEBHOOK_REFUSED: "Telegram nimmt die Adresse seines Webhooks nicht an",
            SERVING: "Beantwortet seine Chats",
        },
        mode: "Empfängt über",
        lastUpdate: "Zuletzt empfangen",
        never: "noch nichts",
        queued: "Wartend",
        unanswered: "Nicht beantwortet",
        version: "Programmversion",
    },

    configs: {
        title: "Konfigurationen",
        intro: "Der Bot benutzt die aktive, die zuletzt hinzugefügt wurde.",
        none: "Es gibt noch keine. Fügen Sie eine hinzu; der Bot meldet sich sofort damit an.",
        add: "Konfiguration hinzufügen",
        used: "in Gebrauch",
        active: "aktiv",
        inactive: "nicht aktiv",
        person: "Das Konto einer Person: Der Bot benutzt es nicht",
        newestPerson: "Das Konto einer Person, und das neueste aktive: Der Bot benutzt keines",
        newer: "Eine neuere ist aktiv: Der Bot benutzt jene",
        newerPerson: "Eine neuere ist aktiv, das Konto einer Person: Der Bot benutzt keine",
        known: (end) => `vorhanden, endet auf …${end}`,
        set: "vorhanden",
        botId: "Bot-ID",
        changed: (time) => `Geändert: ${time}`,
        test: "Prüfen",
        testing: "Telegram wird gefragt …",
        edit: "Bearbeiten",
        activate: "Aktivieren",
        deactivate: "Deaktivieren",
        delete: "Löschen",
        deleteQuestion: (name) => `„${name}“ endgültig löschen? Die Geheimnisse lassen sich nicht zurückholen.`,
        deleteYes: "Ja, löschen",
        deleteNo: "Behalten",
    },

    tests: {
        UNSPECIFIED: "Was Telegram sagte, ist nicht bekannt.",
        OK: (name) => `Es geht: Telegram kennt diesen Bot als ${name}.`,
        TOKEN_REFUSED: "Telegram lehnt den Bot-Token ab. Kopieren Sie ihn noch einmal von @BotFather.",
        TELEGRAM_UNREACHABLE: "Telegram ist gerade nicht erreichbar. Versuchen Sie es später noch einmal.",
        unavailable: "Der Bot antwortet nicht, darum wurde Telegram nicht gefragt.",
    },

    form: {
        addTitle: "Konfiguration hinzufügen",
        editTitle: (name) => `„${name}“ bearbeiten`,
        sessionName: "Bezeichnung",
        sessionNameHint: "Damit Sie sie wiedererkennen.",
        apiId: "API-ID",
        apiIdHint: "Eine Zahl, von my.telegram.org unter „API development tools“.",
        apiHash: "API-Hash",
        apiHashHint: "Von derselben Stelle.",
        botToken: "Bot-Token",
        botTokenHint: "@BotFather gibt ihn Ihnen, wenn Sie /newbot schicken: Ziffern, ein Doppelpunkt, Buchstaben.",
        keep: (known) => `Schon ${known}. Lassen Sie das Feld leer, um ihn zu behalten.`,
        show: "Zeigen",
        isActive: "Aktiv",
        isActiveHint: "Der Bot darf sie benutzen.",
        isBot: "Es ist ein Bot",
        isBotHint: "Nicht das Konto einer Person. Der Dienst benutzt nur Bots.",
        save: "Speichern",
        saving: "Wird gespeichert …",
        cancel: "Abbrechen",
        errors: {
            sessionName: "Geben Sie eine Bezeichnung mit höchstens 255 Zeichen an.",
            apiId: "Geben Sie eine Zahl zwischen 1 und 2147483647 an.",
            apiHash: "Geben Sie den Hash so an, wie my.telegram.org ihn zeigt, ohne Leerzeichen.",
            botToken:
                "Geben Sie den Token so an, wie @BotFather ihn zeigt: Ziffern, ein Doppelpunkt, dann Buchstaben, " +
                "Ziffern, _ und -.",
        },
    },

    errors: {
        unavailable: "Der Server antwortet nicht.",
        busy: "Der Server ist ausgelastet. Versuchen Sie es gleich noch einmal.",
        signIn: "Ein Proxy vor dem Server verlangt, dass Sie sich anmelden: Laden Sie die Seite neu.",
        failed: "Auf dem Server ist etwas schiefgegangen.",
        configUnknown: "Jemand anderes hat sie gelöscht.",
    },
    checkList: "Vielleicht ist es geschehen: Sehen Sie in der Liste nach, bevor Sie es noch einmal versuchen.",
} satisfies Texts;
