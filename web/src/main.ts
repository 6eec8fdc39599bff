// The entry point. Loads texts and page in parallel, then shows the page.

import { mount } from "svelte";
import App from "./App.svelte";
import { language } from "./i18n/language.svelte.ts";
import { page } from "./i18n/texts.ts";
import { pageAt } from "./route.ts";
import "./style.css";

const [{ default: Page }] = await Promise.all([pageAt(location.pathname)(), page.load()]);
language.applyToDocument();
mount(App, { target: document.body, props: { Page } });
