// Keeps the page up to date: asks for the same page as JSON, and fills in what has changed.

const PAUSE = 3000;

const byId = (id) => document.getElementById(id);

/** Leaves the page alone where nothing changed, so that a screen reader reads only news. */
function say(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

const readable = (time) => time.replace("T", " ").replace("Z", " UTC");

function showTime(element, time, otherwise) {
    element.dateTime = time ?? "";
    element.title = time ? readable(time) : "";
    say(element, time ? ago(time) : otherwise);
}

/** "5 minutes ago"; after a day, the time itself. */
function ago(time) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(time)) / 1000));
    const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const [unit, size, end] of [["second", 1, 60], ["minute", 60, 3600], ["hour", 3600, 86400]]) {
        if (seconds < end) {
            return format.format(-Math.floor(seconds / size), unit);
        }
    }
    return readable(time);
}

function errorItem({ what, count, time }) {
    const [item, sentence, times, when] = ["li", "span", "span", "time"].map((name) => document.createElement(name));
    sentence.textContent = what;
    times.className = "soft";
    showTime(when, time);
    times.append(`${count} ×, last `, when);
    item.append(sentence, times);
    return item;
}

function show(report) {
    const bot = report.bot === null ? "Mayfly bot" : `@${report.bot}`;
    document.title = `${bot}: ${report.state}`;
    say(byId("bot"), bot);
    showHealth(report.health, report.state);
    showTime(byId("last_update"), report.last_update_time, "none yet");
    say(byId("queued_updates"), String(report.queued_updates));
    say(byId("failed_updates"), String(report.failed_updates));
    say(byId("mode"), report.mode);
    say(byId("app_config"), report.app_config_id === null ? "none" : String(report.app_config_id));
    say(byId("store"), report.is_store_connected ? "connected" : "cannot be reached");
    byId("errors").replaceChildren(...report.errors.map(errorItem));
}

function showHealth(health, state) {
    byId("health").dataset.health = health;
    say(byId("state"), state);
}

async function refresh() {
    try {
        const signal = AbortSignal.timeout(PAUSE * 2);
        const response = await fetch("/", { headers: { accept: "application/json" }, signal });
        show(await response.json());
    } catch {
        showHealth("failing", "the bot does not answer");
    }
}

let wake = () => {};
document.addEventListener("visibilitychange", () => wake());

/** One question after the other, and none while nobody looks. */
async function run() {
    for (;;) {
        if (document.visibilityState === "visible") {
            await refresh();
        }
        await new Promise((done) => {
            const timer = setTimeout(done, PAUSE);
            wake = () => {
                clearTimeout(timer);
                done();
            };
        });
    }
}

run();
