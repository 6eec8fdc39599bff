// The texts of the admin page.

import { Catalogue } from "../i18n/language.svelte.ts";
import type { AdminError } from "./admin-state.svelte.ts";
import type { TokenError } from "./tokens-state.svelte.ts";
import type english from "./i18n/en.ts";

/** The type of the texts in every language. */
export type Texts = typeof english;

/** The texts in the current language. */
export const admin = new Catalogue<Texts>({
    en: () => import("./i18n/en.ts"),
    de: () => import("./i18n/de.ts"),
    es: () => import("./i18n/es.ts"),
    ko: () => import("./i18n/ko.ts"),
    pt: () => import("./i18n/pt.ts"),
    ru: () => import("./i18n/ru.ts"),
});

/** The error of an action. If its response was lost, only the list shows whether it succeeded. */
export function actionError(error: AdminError): string {
    const { errors, checkList } = admin.texts;
    return error === "unavailable" || error === "failed" ? `${errors[error]} ${checkList}` : errors[error];
}

/** The error of an action on API tokens. */
export function tokenError(error: TokenError): string {
    const { errors } = admin.texts.tokens;
    return error in errors ? errors[error as keyof typeof errors] : actionError(error as AdminError);
}
