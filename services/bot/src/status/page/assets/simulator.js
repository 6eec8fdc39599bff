// The simulated chat. Takes its token from the fragment of the address, which browsers do not send. Posts the actions
// of the user in the documented format of a message, and shows the actions of the bot.
//
// Texts are shown as text, whatever is in them, and are kept nowhere but on the page.

const byId = (id) => document.getElementById(id);
const [log, messages, composer, field, suggestions, exchange, notice] =
    ["log", "messages", "composer", "text", "suggestions", "exchange", "notice"].map(byId);

/** What the simulator asks for. */
const token = () => location.hash.slice(1);

function unlock() {
    byId("simulator").toggleAttribute("data-locked", token() === "");
}

addEventListener("hashchange", unlock);
unlock();

/** Each load of the page is a new user to the bot. */
const PERSON = 1 + (crypto.getRandomValues(new Uint32Array(1))[0] >>> 1);
const FLAGS = ["is_verified", "is_restricted", "is_scam", "is_fake", "is_support"];
const RELATIONS = ["is_self", "is_contact", "is_mutual_contact", "is_deleted", "is_bot"];

const no = (names) => Object.fromEntries(names.map((name) => [name, false]));

let lastMessageId = 0;

// What goes out

const user = () => ({
    _: "User", id: PERSON, ...no(RELATIONS), ...no(FLAGS),
    first_name: "You", status: "online", language_code: navigator.language,
});

const chat = () => ({ _: "Chat", id: PERSON, type: "private", ...no(FLAGS), first_name: "You" });

const message = (text) => ({
    _: "Message", message_id: ++lastMessageId, from_user: user(),
    date: new Date().toISOString().slice(0, 19).replace("T", " "),
    chat: chat(), mentioned: false, scheduled: false, from_scheduled: false, text, outgoing: false,
});

const press = (pressed, data) => ({
    _: "CallbackQuery", id: String(Date.now()), from_user: user(), message: pressed, chat_instance: String(PERSON),
    data,
});

/** Sends an update to the bot. Returns its replies, or a failure. */
async function post(object) {
    try {
        const response = await fetch("/simulator", {
            method: "POST",
            headers: { "content-type": "application/json", "mayfly-authorization": `Bearer ${token()}` },
            body: JSON.stringify(object),
        });
        if (!response.ok) {
            throw new Error((await response.text()).trim());
        }
        const done = await response.json();
        const [request, reply] = [object, done].map((json) => JSON.stringify(json, null, 2));
        exchange.textContent = `POST /simulator\n${request}\n\n${response.status}\n${reply}`;
        return done;
    } catch (error) {
        const text = error instanceof TypeError ? "The bot does not answer." : `Not answered: ${error.message}.`;
        return [{ _: "Failure", text }];
    }
}

// One thing after the other, as Telegram brings them.

let last = Promise.resolve();

function inTurn(work) {
    last = last.then(work);
    return last;
}

function say(text) {
    const sent = message(text);
    add(sent, "mine");
    suggest([]);
    return inTurn(async () => {
        for (const done of await post(sent)) {
            take(done);
        }
    });
}

function pressed(item, button) {
    if (button.getAttribute("aria-disabled") === "true") {
        return undefined;
    }
    button.setAttribute("aria-disabled", "true");
    return inTurn(async () => {
        for (const done of await post(press(item.message, button.data))) {
            take(done, item);
        }
        button.removeAttribute("aria-disabled");
    });
}

// What comes back

function take(done, item) {
    if (done._ === "Message" && done.edit_date !== undefined && item !== undefined) {
        const hadFocus = item.contains(document.activeElement);
        fill(item, done);
        if (hadFocus) {
            (item.querySelector(".button") ?? log).focus();
        }
    } else if (done._ === "Message") {
        lastMessageId = Math.max(lastMessageId, done.message_id);
        add(done, "theirs");
        suggest(/^\d+:[0-9a-f]{64}$/.test(done.text) ? [["Send it back to read it", done.text]] : FIRST);
    } else if (done._ === "BotCallbackAnswer") {
        byId("notice-text").textContent = done.message;
        notice.showModal();
    } else {
        add(done, "failing");
    }
}

function add(object, from) {
    const item = document.createElement("li");
    item.className = from;
    fill(item, object);
    messages.append(item);
    log.scrollTop = log.scrollHeight;
}

function fill(item, object) {
    item.message = object;
    const who = document.createElement("span");
    who.className = "unseen";
    who.textContent = item.className === "mine" ? "You: " : "Bot: ";
    const bubble = document.createElement("p");
    bubble.className = "bubble";
    bubble.append(who, object.text);
    bubble.dir = "auto";
    const rows = object.reply_markup?.inline_keyboard ?? [];
    item.replaceChildren(bubble, ...rows.map((row) => {
        const line = document.createElement("div");
        line.className = "row";
        line.append(...row.map((button) => control(item, button)));
        return line;
    }));
}

/** A button under a message: what it does is what it would do in Telegram, as far as a page can. */
function control(item, { text, callback_data: data, copy_text: copy, url }) {
    const payload = url === undefined ? null : deepLink(url);
    const element = document.createElement(url !== undefined && payload === null ? "a" : "button");
    element.className = "button";
    element.textContent = text;
    if (data !== undefined) {
        element.data = data;
        element.addEventListener("click", () => pressed(item, element));
    } else if (copy !== undefined) {
        element.addEventListener("click", () => copied(element, text, copy));
    } else if (payload !== null) {
        element.addEventListener("click", () => say(`/start ${payload}`));
    } else {
        element.href = /^https?:/.test(url) ? url : "about:blank";
        element.target = "_blank";
        element.rel = "noopener noreferrer";
    }
    return element;
}

/** The start parameter of a link to the bot, or of a link that shares such a link. The page opens these itself. */
function deepLink(url) {
    const link = URL.canParse(url) ? new URL(url) : null;
    if (link?.hostname !== "t.me") {
        return null;
    }
    const shared = link.searchParams.get("url");
    return shared === null ? link.searchParams.get("start") : deepLink(shared);
}

async function copied(element, label, text) {
    try {
        await navigator.clipboard.writeText(text);
        element.textContent = "Copied";
    } catch {
        element.textContent = "Not copied";
    }
    setTimeout(() => { element.textContent = label; }, 1500);
}

// What to write

const FIRST = [["new:hello"], ["/help"]];

function suggest(texts) {
    suggestions.replaceChildren(...texts.map(([label, text = label]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "button";
        button.textContent = label;
        button.addEventListener("click", () => {
            say(text);
            field.focus();
        });
        return button;
    }));
}

composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text !== "") {
        field.value = "";
        say(text);
    }
    field.focus();
});

field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        composer.requestSubmit();
    }
});

suggest(FIRST);
