// Which language the page speaks, and where its texts come from.
//
// Texts are modules, one for each language, of one shape that English gives; each is loaded only when it is spoken. The
// choice is kept in the address (`?lang=ko`) and nowhere else: this page stores nothing in a browser.

import { DAY, HOUR, MINUTE, SECOND } from "../units.ts";
import { choose, type Language } from "./languages.ts";

/** Those of them that are written from right to left. */
const RIGHT_TO_LEFT: ReadonlySet<string> = new Set(["ar", "fa", "he", "ur"]);

type Loaders<Texts> = Record<Language, () => Promise<{ default: Texts }>>;

/** All catalogues of this page, which change their language together. */
const catalogues: Catalogue<unknown>[] = [];

/** The texts of one part of the page, in the language that is spoken. */
export class Catalogue<Texts> {
    #loaders: Loaders<Texts>;
    #texts = $state.raw<Texts>();

    constructor(loaders: Loaders<Texts>) {
        this.#loaders = loaders;
        catalogues.push(this);
    }

    /** The texts. There are none before `load` has ended. */
    get texts(): Texts {
        if (this.#texts === undefined) throw new Error("texts are used before they are loaded");
        return this.#texts;
    }

    /** Loads the texts in the language that is spoken. To be awaited before a page is shown. */
    async load(): Promise<void> {
        (await this.fetch(language.current))();
    }

    /** Loads the texts and answers how to switch to them, so that all parts of a page can switch at once. */
    async fetch(wanted: Language): Promise<() => void> {
        const loaded = await this.#loaders[wanted]();
        return () => (this.#texts = loaded.default);
    }
}

class LanguageChoice {
    #current = $state<Language>(preferred());

    /** What is spoken. */
    get current(): Language {
        return this.#current;
    }

    /** Speaks another language from now on, and after a reload. */
    async choose(wanted: Language): Promise<void> {
        const switches = await Promise.all(catalogues.map((catalogue) => catalogue.fetch(wanted)));
        for (const change of switches) change();
        this.#current = wanted;
        const address = new URL(location.href);
        address.searchParams.set("lang", wanted);
        history.replaceState(history.state, "", address);
        this.announce();
    }

    /** Tells the browser, for its voices, fonts and hyphens. */
    announce(): void {
        document.documentElement.lang = this.#current;
        document.documentElement.dir = RIGHT_TO_LEFT.has(this.#current) ? "rtl" : "ltr";
    }

    /** `path` on this site, in the language that was chosen in the address, if one was. */
    keep(path: string): string {
        void this.#current;
        const chosen = new URLSearchParams(location.search).get("lang");
        return chosen === null ? path : `${path}?lang=${encodeURIComponent(chosen)}`;
    }
}

/** The language of this page. */
export const language = new LanguageChoice();

/** What the address asks for, or else the first of the browser's languages that we speak. */
function preferred(): Language {
    const asked = new URLSearchParams(location.search).get("lang");
    return choose(asked === null ? navigator.languages : [asked, ...navigator.languages]);
}

/** A moment, as people of this language write it, which no line breaks. */
export function formatTime(time: Date): string {
    const said = new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(time);
    return said.replaceAll(" ", "\u00a0");
}

/** A number, as people of this language write it. */
export function formatNumber(number: number): string {
    return new Intl.NumberFormat(locale()).format(number);
}

const UNITS = { day: DAY, hour: HOUR, minute: MINUTE, second: SECOND } as const;

/** So many days, hours or less, as people of this language say it: in the largest unit that leaves no rest. */
export function formatDuration(seconds: number): string {
    const [unit, length] = Object.entries(UNITS).find(([, length]) => seconds % length === 0) ?? ["second", SECOND];
    return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(seconds / length);
}

/** The language with the region that the browser gives it, if it does: 25/11 in London, 11/25 in New York. */
function locale(): string {
    const { current } = language;
    return navigator.languages.find((tag) => choose([tag]) === current && tag.startsWith(current)) ?? current;
}
