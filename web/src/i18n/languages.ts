// Which languages the page speaks.

/** The languages, each by its own name. */
export const LANGUAGES = {
    en: "English",
    de: "Deutsch",
    es: "Español",
    ko: "한국어",
    pt: "Português",
    ru: "Русский",
} as const;

/** A language that the page speaks, as its BCP 47 tag. */
export type Language = keyof typeof LANGUAGES;

/** The first of the wanted languages that is spoken, whatever its region; English if none is. */
export function choose(wanted: readonly string[]): Language {
    for (const tag of wanted) {
        const primary = tag.toLowerCase().split("-")[0] ?? "";
        if (Object.hasOwn(LANGUAGES, primary)) return primary as Language;
    }
    return "en";
}
