// 한국어.

import type { Texts } from "../texts.ts";

/** What a proxy in front of the server asks for. */
const SIGN_IN =
    "서버 앞의 프록시가 로그인을 요구합니다. 페이지를 새로 고치세요. HTTP Basic으로 비밀번호를 요구하는 프록시는 관리 토큰을 전달하지 못합니다. 프록시를 거치지 않고 이 페이지를 열거나 mayfly config를 사용하세요.";

export default {
    title: "관리",
    lock: "잠그기",
    gate: {
        intro: "봇이 텔레그램에 어떻게 로그인할지 여기에서 알려 줍니다.",
        token: "관리자 토큰",
        tokenHint: "“mayfly token” 명령이 보여 줍니다. 이 탭의 메모리에만 있다가 페이지를 떠나면 지워집니다.",
        open: "열기",
        opening: "여는 중…",
        empty: "관리자 토큰을 입력하세요.",
        wrong: "관리자 토큰이 아닙니다.",
        locked: "잠겼습니다. 토큰은 지워졌습니다.",
        idle: "한동안 사용하지 않아 잠겼습니다. 토큰은 지워졌습니다.",
        refused: "잠겼습니다. 서버가 토큰을 더 이상 받아들이지 않습니다.",
        troubles: {
            away: "서버가 응답하지 않습니다. 잠시 후 다시 시도하세요.",
            busy: "서버가 바쁩니다. 잠시 후 다시 시도하세요.",
            signIn: SIGN_IN,
            failed: "서버에서 문제가 생겼습니다.",
        },
    },

    bot: {
        title: "봇",
        looking: "봇을 찾는 중…",
        away: "봇이 응답하지 않습니다. 다시 시도하는 중…",
        states: {
            UNSPECIFIED: "상태를 알 수 없습니다",
            WAITING_FOR_STORE: "저장소를 기다립니다",
            WAITING_FOR_CONFIG: "활성 설정을 기다립니다",
            SIGNING_IN: "텔레그램에 로그인하는 중…",
            TOKEN_REFUSED: "텔레그램이 토큰을 거부합니다",
            TELEGRAM_UNREACHABLE: "텔레그램에 연결할 수 없습니다. 스스로 다시 시도합니다.",
            CONFLICT: "다른 프로그램이 이 봇의 메시지를 받고 있습니다",
            WEBHOOK_REFUSED: "텔레그램이 웹훅 주소를 받아들이지 않습니다",
            SERVING: "대화에 답하고 있습니다",
        },
        mode: "수신 방식",
        lastUpdate: "마지막 수신",
        never: "아직 없음",
        queued: "대기 중",
        unanswered: "답하지 못함",
        version: "버전",
    },

    configs: {
        title: "설정",
        intro: "봇은 활성 설정 가운데 가장 나중에 추가된 것을 사용합니다.",
        none: "아직 없습니다. 추가하면 봇이 바로 그 설정으로 로그인합니다.",
        add: "설정 추가",
        used: "사용 중",
        active: "활성",
        inactive: "비활성",
        person: "사람의 계정입니다. 봇은 사용하지 않습니다",
        newestPerson: "사람의 계정이며 가장 새로운 활성 설정입니다. 봇은 아무것도 사용하지 않습니다",
        newer: "더 새로운 활성 설정이 있어 봇은 그것을 사용합니다",
        newerPerson: "더 새로운 활성 설정이 사람의 계정이어서 봇은 아무것도 사용하지 않습니다",
        known: (end) => `저장됨, …${end}(으)로 끝남`,
        set: "저장됨",
        botId: "봇 아이디",
        changed: (time) => `변경: ${time}`,
        test: "시험",
        testing: "텔레그램에 묻는 중…",
        edit: "편집",
        activate: "활성화",
        deactivate: "비활성화",
        delete: "삭제",
        deleteQuestion: (name) => `“${name}” 설정을 완전히 삭제할까요? 비밀 값은 되돌릴 수 없습니다.`,
        deleteYes: "네, 삭제합니다",
        deleteNo: "그대로 둡니다",
    },

    tests: {
        UNSPECIFIED: "텔레그램의 답을 알 수 없습니다.",
        OK: (name) => `정상입니다. 텔레그램은 이 봇을 ${name}(으)로 알고 있습니다.`,
        TOKEN_REFUSED: "텔레그램이 봇 토큰을 거부합니다. @BotFather에서 다시 복사하세요.",
        TELEGRAM_UNREACHABLE: "지금은 텔레그램에 연결할 수 없습니다. 나중에 다시 시도하세요.",
        away: "봇이 응답하지 않아 텔레그램에 묻지 못했습니다.",
    },

    form: {
        addTitle: "설정 추가",
        editTitle: (name) => `“${name}” 편집`,
        sessionName: "이름",
        sessionNameHint: "알아보기 위한 이름입니다.",
        apiId: "API 아이디",
        apiIdHint: "my.telegram.org의 “API development tools”에 있는 숫자입니다.",
        apiHash: "API 해시",
        apiHashHint: "같은 곳에 있습니다.",
        botToken: "봇 토큰",
        botTokenHint: "@BotFather에게 /newbot을 보내면 줍니다. 숫자, 쌍점, 글자로 되어 있습니다.",
        keep: (known) => `현재: ${known}. 비워 두면 그대로 유지됩니다.`,
        show: "보기",
        isActive: "활성",
        isActiveHint: "봇이 사용해도 됩니다.",
        isBot: "봇입니다",
        isBotHint: "사람의 계정이 아닙니다. 이 서비스는 봇만 사용합니다.",
        save: "저장",
        saving: "저장하는 중…",
        cancel: "취소",
        faults: {
            sessionName: "255자 이하의 이름을 입력하세요.",
            apiId: "1에서 2147483647 사이의 숫자를 입력하세요.",
            apiHash: "my.telegram.org에 보이는 그대로, 공백 없이 입력하세요.",
            botToken: "@BotFather가 보여 주는 그대로 입력하세요. 숫자, 쌍점, 그다음 글자, 숫자, _, - 입니다.",
        },
    },

    troubles: {
        away: "서버가 응답하지 않습니다. 이미 처리되었을 수 있으니 목록을 확인한 뒤 다시 시도하세요.",
        busy: "서버가 바쁩니다. 잠시 후 다시 시도하세요.",
        signIn: SIGN_IN,
        failed: "서버에서 문제가 생겼습니다. 목록을 확인한 뒤 다시 시도하세요.",
        configUnknown: "다른 사람이 이미 삭제했습니다.",
    },
} satisfies Texts;
