// The texts of everything but the admin page.

import type english from "./en.ts";
import { Catalogue } from "./language.svelte.ts";

/** What every language has to say. */
export type Texts = typeof english;

/** The texts in the language that is spoken. */
export const page = new Catalogue<Texts>({
    en: () => import("./en.ts"),
    de: () => import("./de.ts"),
    es: () => import("./es.ts"),
    ko: () => import("./ko.ts"),
    pt: () => import("./pt.ts"),
    ru: () => import("./ru.ts"),
});
