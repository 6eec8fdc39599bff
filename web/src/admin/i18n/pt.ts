// Português.

import type { Texts } from "../texts.ts";

/** What a proxy in front of the server asks for. */
const SIGN_IN =
    "Um proxy na frente do servidor pede que você entre: recarregue a página. Um proxy que pede uma senha por HTTP Basic não deixa passar o token de administração: abra esta página sem ele ou use “mayfly config”.";

export default {
    title: "Administração",
    lock: "Bloquear",
    gate: {
        intro: "Aqui se diz ao bot como entrar no Telegram.",
        token: "Token de administração",
        tokenHint: "“mayfly token” mostra-o. Fica na memória desta aba e é esquecido quando você sai da página.",
        open: "Abrir",
        opening: "Abrindo…",
        empty: "Digite o token de administração.",
        wrong: "Esse não é o token de administração.",
        locked: "Bloqueado. O token foi esquecido.",
        idle: "Bloqueado, porque ninguém usou a página por algum tempo. O token foi esquecido.",
        refused: "Bloqueado: o servidor não aceita mais o token.",
        troubles: {
            away: "O servidor não responde. Tente de novo daqui a pouco.",
            busy: "O servidor está ocupado. Tente de novo daqui a pouco.",
            signIn: SIGN_IN,
            failed: "Algo deu errado no servidor.",
        },
    },

    bot: {
        title: "O bot",
        looking: "Procurando o bot…",
        away: "O bot não responde. Tentando de novo…",
        states: {
            UNSPECIFIED: "Seu estado não é conhecido",
            WAITING_FOR_STORE: "Espera pelo armazenamento",
            WAITING_FOR_CONFIG: "Espera por uma configuração ativa",
            SIGNING_IN: "Entrando no Telegram…",
            TOKEN_REFUSED: "O Telegram recusa o token dele",
            TELEGRAM_UNREACHABLE: "Não é possível alcançar o Telegram. O bot tenta de novo sozinho.",
            CONFLICT: "Outro programa recebe as mensagens deste bot",
            WEBHOOK_REFUSED: "O Telegram não aceita o endereço do webhook dele",
            SERVING: "Responde às suas conversas",
        },
        mode: "Recebe por",
        lastUpdate: "Última recepção",
        never: "nenhuma ainda",
        queued: "Em espera",
        unanswered: "Sem resposta",
        version: "Versão",
    },

    configs: {
        title: "Configurações",
        intro: "O bot usa a ativa que foi acrescentada por último.",
        none: "Ainda não há nenhuma. Acrescente uma e o bot entra com ela imediatamente.",
        add: "Acrescentar uma configuração",
        used: "em uso",
        active: "ativa",
        inactive: "inativa",
        person: "A conta de uma pessoa: o bot não a usa",
        newestPerson: "A conta de uma pessoa, e a mais nova ativa: o bot não usa nenhuma",
        newer: "Há uma mais nova ativa: o bot usa essa",
        newerPerson: "Há uma mais nova ativa, a conta de uma pessoa: o bot não usa nenhuma",
        known: (end) => `guardado, termina em …${end}`,
        set: "guardado",
        botId: "ID do bot",
        changed: (time) => `Alterada: ${time}`,
        test: "Testar",
        testing: "Perguntando ao Telegram…",
        edit: "Editar",
        activate: "Ativar",
        deactivate: "Desativar",
        delete: "Excluir",
        deleteQuestion: (name) => `Excluir “${name}” para sempre? Os segredos não podem ser recuperados.`,
        deleteYes: "Sim, excluir",
        deleteNo: "Manter",
    },

    tests: {
        UNSPECIFIED: "Não se sabe o que o Telegram disse.",
        OK: (name) => `Funciona: o Telegram conhece este bot como ${name}.`,
        TOKEN_REFUSED: "O Telegram recusa o token do bot. Copie-o de novo do @BotFather.",
        TELEGRAM_UNREACHABLE: "Agora não é possível alcançar o Telegram. Tente mais tarde.",
        away: "O bot não responde, por isso o Telegram não foi consultado.",
    },

    form: {
        addTitle: "Acrescentar uma configuração",
        editTitle: (name) => `Editar “${name}”`,
        sessionName: "Nome",
        sessionNameHint: "Para você reconhecê-la.",
        apiId: "ID da API",
        apiIdHint: "Um número, de my.telegram.org, em “API development tools”.",
        apiHash: "Hash da API",
        apiHashHint: "Do mesmo lugar.",
        botToken: "Token do bot",
        botTokenHint: "O @BotFather o fornece quando você envia /newbot: dígitos, dois-pontos e letras.",
        keep: (known) => `Está ${known}. Deixe vazio para mantê-lo.`,
        show: "Mostrar",
        isActive: "Ativa",
        isActiveHint: "O bot pode usá-la.",
        isBot: "É um bot",
        isBotHint: "Não a conta de uma pessoa. O serviço só usa bots.",
        save: "Salvar",
        saving: "Salvando…",
        cancel: "Cancelar",
        faults: {
            sessionName: "Dê um nome de no máximo 255 caracteres.",
            apiId: "Dê um número entre 1 e 2147483647.",
            apiHash: "Dê o hash como my.telegram.org o mostra, sem espaços.",
            botToken: "Dê o token como o @BotFather o mostra: dígitos, dois-pontos e depois letras, dígitos, _ e -.",
        },
    },

    troubles: {
        away: "O servidor não responde. Olhe a lista antes de tentar de novo: talvez já tenha sido feito.",
        busy: "O servidor está ocupado. Tente de novo daqui a pouco.",
        signIn: SIGN_IN,
        failed: "Algo deu errado no servidor. Olhe a lista antes de tentar de novo.",
        configUnknown: "Outra pessoa a excluiu.",
    },
} satisfies Texts;
