// Every state of every page, for accessibility tests and screenshots.

import { create, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { TestAppConfigResponseSchema, TestOutcome } from "../../src/gen/mayfly/bot/v1/bot_service_pb.ts";
import {
    LookupMessageResponseSchema,
    ViewMessageResponseSchema,
} from "../../src/gen/mayfly/message/v1/message_service_pb.ts";
import { MessageState } from "../../src/gen/mayfly/message/v1/message_state_pb.ts";
import { parseMessageRef } from "./actions.ts";
import { Admin } from "./admin.ts";
import type { Visitor } from "./browser.ts";
import type { Fixture } from "./fixture.ts";

/** Opens a page in a state. */
export type PageState = (fixture: Fixture, visitor: Visitor) => Promise<Page>;

const TEXT = "db.example.org\nuser      app\npassword  Tr0ub4dor&3-correct-horse\n";

const openPath = (fixture: Fixture, visitor: Visitor, path: string) => visitor.open(fixture.url + path);

async function openForm(fixture: Fixture, visitor: Visitor, text = TEXT): Promise<Page> {
    const page = await openPath(fixture, visitor, "/");
    await page.locator("textarea").fill(text);
    return page;
}

async function openCreated(fixture: Fixture, visitor: Visitor, isPlain = false): Promise<Page> {
    const page = await openForm(fixture, visitor);
    if (isPlain) await page.getByRole("switch").check();
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("Not read yet").waitFor();
    return page;
}

/** Lets a call fail over gRPC-Web with a reason of the contract. */
async function failCall(visitor: Visitor, call: string, reason: string): Promise<void> {
    // google.rpc.Status { code: INTERNAL, details: [google.rpc.ErrorInfo { reason, domain: "mayfly" }] }, written out.
    const code = Buffer.of(1 << 3, 13);
    const field = (number: number, content: Buffer) =>
        Buffer.concat([Buffer.of((number << 3) | 2, content.length), content]);
    const info = Buffer.concat([field(1, Buffer.from(reason)), field(2, Buffer.from("mayfly"))]);
    const any = Buffer.concat([field(1, Buffer.from("type.googleapis.com/google.rpc.ErrorInfo")), field(2, info)]);
    const headers = {
        "content-type": "application/grpc-web+proto",
        "grpc-status": "13",
        "grpc-status-details-bin": Buffer.concat([code, field(3, any)]).toString("base64"),
    };
    await visitor.context.route(`**/mayfly.message.v1.MessageService/${call}`, (route) =>
        route.fulfill({ status: 200, headers }),
    );
}

/** Fulfills a call over gRPC-Web with one message and a successful status. */
async function fulfillCall(visitor: Visitor, call: string, message: Uint8Array): Promise<void> {
    const frame = (kind: number, content: Uint8Array) => {
        const head = Buffer.alloc(5);
        head.writeUInt8(kind);
        head.writeUInt32BE(content.length, 1);
        return Buffer.concat([head, content]);
    };
    const body = Buffer.concat([frame(0, message), frame(0x80, Buffer.from("grpc-status: 0\r\n"))]);
    await visitor.context.route(`**/${call}`, (route) =>
        route.fulfill({ status: 200, contentType: "application/grpc-web+proto", body }),
    );
}

/** Imitates a server that reports a sealed message, then returns a clear text. */
export async function serveSubstitutedText(visitor: Visitor, text: string): Promise<void> {
    const lookup = create(LookupMessageResponseSchema, {
        state: MessageState.UNREAD,
        stateTime: timestampNow(),
        isSealed: true,
    });
    const view = create(ViewMessageResponseSchema, { content: { case: "text", value: text } });
    const service = "mayfly.message.v1.MessageService";
    await fulfillCall(visitor, `${service}/LookupMessage`, toBinary(LookupMessageResponseSchema, lookup));
    await fulfillCall(visitor, `${service}/ViewMessage`, toBinary(ViewMessageResponseSchema, view));
}

/** Imitates a server on which every message was read. */
export async function serveViewed(visitor: Visitor): Promise<void> {
    const lookup = create(LookupMessageResponseSchema, { state: MessageState.VIEWED, stateTime: timestampNow() });
    const call = "mayfly.message.v1.MessageService/LookupMessage";
    await fulfillCall(visitor, call, toBinary(LookupMessageResponseSchema, lookup));
}

/** Opens the dashboard with app configs of these names. */
async function openAdmin(fixture: Fixture, visitor: Visitor, ...names: string[]): Promise<Page> {
    const admin = await Admin.forSystem(fixture.system);
    await admin.replaceConfigs(...names);
    const page = await admin.openDashboard(fixture, visitor);
    const state = names.length === 0 ? "Waits for an active configuration" : "Telegram cannot be reached";
    await page.getByText(state).waitFor();
    return page;
}

export const PAGE_STATES: Record<string, PageState> = {
    create: (fixture, visitor) => openPath(fixture, visitor, "/"),
    "create-written": async (fixture, visitor) => {
        const page = await openForm(fixture, visitor);
        await page.getByLabel("Passphrase (optional)").fill("blue whale");
        return page;
    },
    "create-too-long": async (fixture, visitor) => {
        const page = await openForm(fixture, visitor, "x".repeat(70_000));
        await page.getByRole("button", { name: "Create link" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    created: (fixture, visitor) => openCreated(fixture, visitor),
    "created-plain-qr": async (fixture, visitor) => {
        const page = await openCreated(fixture, visitor, true);
        await page.getByRole("button", { name: "Show QR code" }).click();
        await page.getByRole("img", { name: "QR code" }).waitFor();
        return page;
    },
    "created-burn": async (fixture, visitor) => {
        const page = await openCreated(fixture, visitor);
        await page.getByRole("button", { name: "Burn it" }).click();
        return page;
    },
    "created-burned": async (fixture, visitor) => {
        const page = await openCreated(fixture, visitor);
        await page.getByRole("button", { name: "Burn it" }).click();
        await page.getByRole("button", { name: "Yes, erase it" }).click();
        await page.getByText(/^Burned unread on/).waitFor();
        return page;
    },
    "created-read": async (fixture, visitor) => {
        const page = await openCreated(fixture, visitor, true);
        const pair = (await page.getByRole("group", { name: "For Telegram" }).locator("code").textContent()) ?? "";
        await fixture.system.rest("view_message", parseMessageRef(pair));
        await page.getByText(/^Read on/).waitFor();
        return page;
    },
    unread: async (fixture, visitor) => openPath(fixture, visitor, (await fixture.sealed({ text: TEXT })).path),
    "unread-passphrase-wrong": async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.text({ passphrase: "blue whale" })).path);
        await page.getByLabel("Passphrase").fill("red whale");
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    locked: async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.text({ passphrase: "blue whale" })).path);
        const locked = page.getByRole("heading", { name: "Too many wrong passphrases" });
        const input = page.getByLabel("Passphrase");
        for (let tries = 0; tries < 30 && !(await locked.isVisible()); tries += 1) {
            await input.fill(`${tries}`);
            await page.getByRole("button", { name: "Read the message" }).click();
            await page.getByRole("alert").or(locked).first().waitFor();
        }
        return page;
    },
    shown: async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.sealed({ text: TEXT })).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("region", { name: "Message" }).waitFor();
        return page;
    },
    "shown-again": async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.sealed({ text: TEXT })).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("region", { name: "Message" }).waitFor();
        await page.reload();
        await page.getByRole("region", { name: "Message" }).waitFor();
        return page;
    },
    finished: async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.text()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("button", { name: "Hide and erase" }).click();
        await page.getByRole("heading", { name: "You have read" }).waitFor();
        return page;
    },
    viewed: async (fixture, visitor) => {
        const message = await fixture.text();
        await fixture.view(message);
        return openPath(fixture, visitor, message.path);
    },
    burned: async (fixture, visitor) => {
        const message = await fixture.text();
        await fixture.burn(message);
        return openPath(fixture, visitor, message.path);
    },
    expired: async (fixture, visitor) => {
        const message = await fixture.text({ ttl: 1 });
        await fixture.waitForState(message, "EXPIRED");
        return openPath(fixture, visitor, message.path);
    },
    unknown: async (fixture, visitor) => {
        const { accessToken } = await fixture.text();
        return openPath(fixture, visitor, `/m/999999#${accessToken}`);
    },
    incomplete: (fixture, visitor) => openPath(fixture, visitor, "/m/1"),
    mistyped: (fixture, visitor) => openPath(fixture, visitor, `/m/1#${"0".repeat(64)}`),
    "key-missing": async (fixture, visitor) => {
        const { id, accessToken } = await fixture.sealed();
        return openPath(fixture, visitor, `/m/${id}#${accessToken}`);
    },
    "key-mistyped": async (fixture, visitor) => {
        const { path } = await fixture.sealed();
        return openPath(fixture, visitor, path.slice(0, -1) + (path.endsWith("A") ? "B" : "A"));
    },
    "not-sealed": async (fixture, visitor) => openPath(fixture, visitor, (await fixture.textWithKey()).path),
    substituted: async (fixture, visitor) => {
        await serveSubstitutedText(visitor, TEXT);
        const page = await openPath(fixture, visitor, (await fixture.sealed()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("heading", { name: "This text is not shown" }).waitFor();
        return page;
    },
    unreadable: async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, (await fixture.damaged()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("heading", { name: "cannot be decrypted" }).waitFor();
        return page;
    },
    unavailable: async (fixture, visitor) => {
        await failCall(visitor, "LookupMessage", "STORE_UNAVAILABLE");
        return openPath(fixture, visitor, (await fixture.text()).path);
    },
    busy: async (fixture, visitor) => {
        await failCall(visitor, "LookupMessage", "OVERLOADED");
        return openPath(fixture, visitor, (await fixture.text()).path);
    },
    failed: async (fixture, visitor) => {
        await failCall(visitor, "LookupMessage", "INTERNAL");
        return openPath(fixture, visitor, (await fixture.text()).path);
    },
    documentation: (fixture, visitor) => openPath(fixture, visitor, "/api/docs"),
    "not-built": async (fixture, visitor) => {
        const body = await readFile(new URL("../../../gateway-rest/src/page/not_built.html", import.meta.url), "utf8");
        await visitor.context.route(`${fixture.url}/`, (route) => route.fulfill({ contentType: "text/html", body }));
        return openPath(fixture, visitor, "/");
    },
    insecure: async (fixture, visitor) => visitor.open(fixture.insecureUrl + (await fixture.sealed()).path),
    "create-insecure": (fixture, visitor) => visitor.open(`${fixture.insecureUrl}/`),
    admin: (fixture, visitor) => openPath(fixture, visitor, "/admin"),
    "admin-wrong": async (fixture, visitor) => {
        const page = await openPath(fixture, visitor, "/admin");
        await page.getByLabel("Admin token").fill("wrong");
        await page.getByRole("button", { name: "Open" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    "admin-none": (fixture, visitor) => openAdmin(fixture, visitor),
    "admin-configs": (fixture, visitor) => openAdmin(fixture, visitor, "old_bot", "team_bot"),
    "admin-add": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor);
        await page.getByRole("button", { name: "Add a configuration" }).click();
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    "admin-edit": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor, "team_bot");
        await page.getByRole("button", { name: "Edit" }).click();
        return page;
    },
    "admin-test": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor, "team_bot");
        await page.getByRole("button", { name: "Test" }).click();
        await page.getByText("Telegram cannot be reached now.").waitFor();
        return page;
    },
    "admin-delete": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor, "team_bot");
        await page.getByRole("button", { name: "Delete" }).click();
        return page;
    },
    "admin-tested": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor, "team_bot");
        const passed = { outcome: TestOutcome.OK, userName: "team_bot", displayName: "Team Bot" };
        await fulfillCall(
            visitor,
            "mayfly.bot.v1.BotService/TestAppConfig",
            toBinary(TestAppConfigResponseSchema, create(TestAppConfigResponseSchema, passed)),
        );
        await page.getByRole("button", { name: "Test" }).click();
        await page.getByText("@team_bot").waitFor();
        return page;
    },
    "admin-locked": async (fixture, visitor) => {
        const page = await openAdmin(fixture, visitor);
        await page.getByRole("button", { name: "Lock" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
};
