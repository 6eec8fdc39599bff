// Português.

import type { Texts } from "./texts.ts";

export default {
    tagline: "Mensagens que se leem uma única vez",
    language: "Idioma",
    newMessage: "Escrever uma mensagem",
    tryAgain: "Tentar de novo",
    copy: "Copiar",
    copied: "Copiado",
    copyFailed: "Selecione e copie manualmente",

    create: {
        title: "Escreva uma mensagem que se lê uma única vez",
        intro: "Você recebe um link. Quem o abrir primeiro lê a mensagem; depois ela desaparece.",
        text: "Mensagem",
        textHint: "Uma senha, uma chave, tudo o que não deve ficar por aí.",
        counter: (used, limit) => `${used} de ${limit} bytes`,
        counterLabel: "Tamanho",
        lifetime: "Guardar por no máximo",
        lifetimeHint: "Se ninguém a ler, depois disso é apagada.",
        passphrase: "Frase secreta",
        optional: "opcional",
        passphraseHint: "Será pedida a quem for ler. Informe-a por outro meio.",
        showPassphrase: "Mostrar",
        plain: "Legível também no Telegram e por REST",
        sealedHint: "Seu navegador criptografa a mensagem. A chave está só no link.",
        plainHint: "O servidor criptografa a mensagem, e a vê quando chega e quando é lida.",
        insecure:
            "Esta página foi aberta sem HTTPS, por isso seu navegador não criptografa. A mensagem é criptografada " +
            "apenas no servidor.",
        needsToken: "Neste servidor, só quem tem um token escreve mensagens. Para ler, não é preciso.",
        token: "Seu token",
        tokenHint: "Quem administra este servidor o fornece. Ele fica na memória desta aba.",
        tokenMissing: "Digite seu token. Nada foi guardado.",
        tokenWrong: "O servidor não conhece este token. Copie-o de novo. Nada foi guardado.",
        tokenEnded: "Este token foi revogado ou expirou. Peça um novo a quem administra este servidor.",
        tokenForbidden: "Este token não permite escrever mensagens. Peça outro a quem administra este servidor.",
        submit: "Criar link",
        submitting: "Guardando…",
        retrying: "Ainda sem resposta. Perguntando de novo; nada é guardado duas vezes.",
        empty: "Escreva algo primeiro.",
        tooLong: (limit) => `É longo demais: são guardados no máximo ${limit} bytes.`,
        passphraseTooLong: "A frase secreta é longa demais: no máximo 1.024 bytes.",
        lifetimeRejected: "Este servidor não guarda mensagens por tanto tempo. Escolha um prazo menor.",
        unavailable: "O servidor não responde. Nada se perdeu: tente de novo; nada é guardado duas vezes.",
        busy: "O servidor está ocupado. Tente de novo daqui a pouco.",
        full: "Este servidor não aceita mais mensagens neste momento. Tente de novo mais tarde.",
        failed: "Algo deu errado no servidor. O que você escreveu continua aqui.",
        signIn:
            "Um proxy na frente do servidor pede que você entre. Nada foi armazenado: copie seu texto e recarregue " +
            "a página.",
    },

    created: {
        title: "Seu link está pronto",
        intro: "Envie-o a uma única pessoa. Ele funciona uma vez, e ninguém pode mostrá-lo de novo.",
        link: "Link",
        pair: "Para o Telegram e o terminal",
        pairHint: "Envie ao bot, ou passe a “mayfly view”.",
        showQr: "Mostrar código QR",
        hideQr: "Ocultar código QR",
        qrAlt: "Código QR do link",
        withPassphrase: "Para ler é preciso também a frase secreta. Envie-a por um meio diferente do link.",
        sealed: "Criptografada no seu navegador: a chave está no link e em nenhum outro lugar.",
        plain: "Criptografada no servidor.",
        unread: "Ainda não lida",
        unreadUntil: (time) => `Ainda não lida. Será apagada sem leitura: ${time}.`,
        viewed: (time) => `Lida: ${time}`,
        burned: (time) => `Retirada sem leitura: ${time}`,
        expired: (time) => `Expirada sem leitura: ${time}`,
        reconnecting: "A conexão foi interrompida. Tentando de novo…",
        unknown: "O servidor já não sabe nada dela",
        status: "Situação",
        burn: "Retirar",
        burnQuestion: "Apagar sem leitura? O link deixa de funcionar na hora.",
        burnYes: "Sim, apagar",
        burnNo: "Manter",
        burning: "Apagando…",
        burnFailed: "Não foi possível apagar: o servidor não responde. Tente de novo.",
        another: "Escrever outra mensagem",
    },

    read: {
        loading: "Procurando a mensagem…",
        unreadTitle: "Há uma mensagem à sua espera",
        unreadIntro: "Ela pode ser lida uma única vez. Ao abri-la, ela é apagada do servidor.",
        unreadSince: (time) => `Não lida, guardada: ${time}`,
        expires: (time) => `Será apagada sem leitura: ${time}`,
        sealed: "Criptografada em um navegador. A chave está no seu link; o servidor não a tem.",
        passphraseHint: "Quem enviou protegeu a mensagem com ela.",
        passphraseMissing: "Digite a frase secreta. A mensagem continua não lida.",
        passphraseWrong: "Essa não é a frase secreta. A mensagem continua não lida. O número de tentativas é limitado.",
        open: "Ler a mensagem",
        opening: "Abrindo…",
        openingRetry: "Ainda sem resposta. Perguntando de novo; a mensagem não se perdeu.",
        shownTitle: "Sua mensagem",
        shownIntro: (time) =>
            `Ninguém mais pode lê-la. Você pode recarregá-la nesta aba até: ${time}. Ao ocultá-la, ela é apagada ` +
            "para sempre.",
        shownIntroFinal: "Ninguém mais pode lê-la. Já foi apagada do servidor: copie-a antes de sair.",
        hide: "Ocultar e apagar",
        finishedTitle: "Você leu esta mensagem",
        finished: "Ela foi apagada. O link não abre mais nada.",
        erasing: "Apagando…",
        eraseFailed:
            "O servidor não responde. Ele apaga a mensagem sozinho quando acabar o prazo para recarregá-la; ou " +
            "tente de novo.",
        viewedTitle: "Esta mensagem já foi lida",
        viewed: (time) => `Foi lida em ${time} e não existe mais.`,
        viewedWarning:
            "Se não foi você, outra pessoa tem o conteúdo: considere-o exposto. Avise quem enviou e troque a senha.",
        burnedTitle: "Esta mensagem foi retirada",
        burned: (time) => `Alguém que tinha o link a apagou sem leitura em ${time}.`,
        expiredTitle: "Esta mensagem expirou",
        expired: (time) => `Ninguém a leu a tempo. Foi apagada sem leitura em ${time}.`,
        expiredHint: "Peça uma nova a quem enviou.",
        unknownTitle: "Não existe tal mensagem",
        unknown: "Ela nunca existiu, ou desapareceu há tanto tempo que o servidor já não sabe nada dela.",
        incompleteTitle: "Este link está incompleto",
        incomplete:
            "O que vem depois de # está faltando ou foi cortado. Nada foi lido: abra o link de novo exatamente como " +
            "o recebeu.",
        mistypedTitle: "Este link tem um erro",
        mistyped: "Um dos caracteres está errado. Nada foi lido: copie o link de novo.",
        keyMissingTitle: "Falta a chave neste link",
        keyMissing:
            "A mensagem está criptografada, e a última parte do link, depois do ponto, é o que a abre. Ela continua " +
            "não lida: abra o link de novo exatamente como o recebeu.",
        keyMistypedTitle: "A chave deste link está errada",
        keyMistyped:
            "A última parte do link, depois do ponto, não pertence a ele. A mensagem continua não lida: copie o " +
            "link de novo.",
        insecureTitle: "Abra esta página com HTTPS",
        insecure:
            "A mensagem está criptografada, e seu navegador só descriptografa em páginas abertas com HTTPS. Ela " +
            "continua não lida.",
        notSealedTitle: "O servidor contradiz o link",
        notSealed:
            "O link tem uma chave, portanto a mensagem foi criptografada em um navegador. O servidor diz que não. " +
            "Nada foi lido: copie o link de novo e, se continuar assim, pergunte a quem enviou.",
        substitutedTitle: "Este texto não é exibido",
        substituted:
            "O link tem uma chave, portanto a mensagem foi criptografada em um navegador. O servidor enviou um " +
            "texto não criptografado, que ele mesmo pode ter escrito. A mensagem agora conta como lida: avise quem " +
            "enviou por outro meio, e avise também quem administra o servidor.",
        lockedTitle: "Frases secretas erradas demais",
        locked: (time) => `A mensagem continua lá, não lida. Será possível tentar de novo a partir de: ${time}.`,
        unreadableTitle: "A mensagem não pode ser descriptografada",
        unreadable: "Ela foi entregue a você, mas a chave do link não a abre. Peça a quem enviou que a envie de novo.",
        unavailableTitle: "O servidor não responde",
        unavailable: "A mensagem não se perdeu. Tente de novo daqui a pouco.",
        busyTitle: "O servidor está ocupado",
        busy: "A mensagem não se perdeu. Tente de novo daqui a pouco.",
        failedTitle: "Algo deu errado",
        failed: "A falha é do servidor, e a mensagem não se perdeu. Tente de novo ou avise quem administra o servidor.",
        signInTitle: "Entre primeiro",
        signIn: "Um proxy na frente do servidor pede que você entre. Nada foi lido nem perdido: recarregue a página.",
    },
} satisfies Texts;
