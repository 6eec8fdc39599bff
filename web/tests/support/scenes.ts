// Every page, in every state that somebody may see: for axe and for the eye.

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
import { Admin } from "./admin.ts";
import type { Visitor } from "./browser.ts";
import type { Stage } from "./stage.ts";

/** Brings a page into a state. */
export type Scene = (stage: Stage, visitor: Visitor) => Promise<Page>;

const TEXT = "db.example.org\nuser      app\npassword  Tr0ub4dor&3-correct-horse\n";

const open = (stage: Stage, visitor: Visitor, path: string) => visitor.open(stage.url + path);

async function written(stage: Stage, visitor: Visitor, text = TEXT): Promise<Page> {
    const page = await open(stage, visitor, "/");
    await page.locator("textarea").fill(text);
    return page;
}

async function created(stage: Stage, visitor: Visitor, isPlain = false): Promise<Page> {
    const page = await written(stage, visitor);
    if (isPlain) await page.getByRole("switch").check();
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("Not read yet").waitFor();
    return page;
}

/** Lets a call fail as gRPC-Web does, with a reason of the contract. */
async function failing(visitor: Visitor, call: string, reason: string): Promise<void> {
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

/** Answers a call in the server's place, as gRPC-Web does: one message, then how the call ended. */
async function answering(visitor: Visitor, call: string, message: Uint8Array): Promise<void> {
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

/** A server that says of a text that it is sealed, and then delivers it in clear. */
export async function substituting(visitor: Visitor, text: string): Promise<void> {
    const lookup = create(LookupMessageResponseSchema, {
        state: MessageState.UNREAD,
        stateTime: timestampNow(),
        isSealed: true,
    });
    const view = create(ViewMessageResponseSchema, { content: { case: "text", value: text } });
    const service = "mayfly.message.v1.MessageService";
    await answering(visitor, `${service}/LookupMessage`, toBinary(LookupMessageResponseSchema, lookup));
    await answering(visitor, `${service}/ViewMessage`, toBinary(ViewMessageResponseSchema, view));
}

/** A server that says of every message that it was read. */
export async function answeringViewed(visitor: Visitor): Promise<void> {
    const lookup = create(LookupMessageResponseSchema, { state: MessageState.VIEWED, stateTime: timestampNow() });
    const call = "mayfly.message.v1.MessageService/LookupMessage";
    await answering(visitor, call, toBinary(LookupMessageResponseSchema, lookup));
}

/** The admin page, opened, with app configs of these names. */
async function administrated(stage: Stage, visitor: Visitor, ...names: string[]): Promise<Page> {
    const admin = await Admin.of(stage.system);
    await admin.store(...names);
    const page = await admin.enter(stage, visitor);
    const state = names.length === 0 ? "Waits for an active configuration" : "Telegram cannot be reached";
    await page.getByText(state).waitFor();
    return page;
}

export const SCENES: Record<string, Scene> = {
    create: (stage, visitor) => open(stage, visitor, "/"),
    "create-written": async (stage, visitor) => {
        const page = await written(stage, visitor);
        await page.getByLabel("Passphrase (optional)").fill("blue whale");
        return page;
    },
    "create-too-long": async (stage, visitor) => {
        const page = await written(stage, visitor, "x".repeat(70_000));
        await page.getByRole("button", { name: "Create link" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    created: (stage, visitor) => created(stage, visitor),
    "created-plain-qr": async (stage, visitor) => {
        const page = await created(stage, visitor, true);
        await page.getByRole("button", { name: "Show QR code" }).click();
        await page.getByRole("img", { name: "QR code" }).waitFor();
        return page;
    },
    "created-burn": async (stage, visitor) => {
        const page = await created(stage, visitor);
        await page.getByRole("button", { name: "Burn it" }).click();
        return page;
    },
    "created-burned": async (stage, visitor) => {
        const page = await created(stage, visitor);
        await page.getByRole("button", { name: "Burn it" }).click();
        await page.getByRole("button", { name: "Yes, erase it" }).click();
        await page.getByText(/^Burned unread on/).waitFor();
        return page;
    },
    "created-read": async (stage, visitor) => {
        const page = await created(stage, visitor, true);
        const pair = (await page.getByRole("group", { name: "For Telegram" }).locator("code").textContent()) ?? "";
        const [id, access_token] = pair.split(":");
        await stage.system.rest("view_message", { id: Number(id), access_token });
        await page.getByText(/^Read on/).waitFor();
        return page;
    },
    unread: async (stage, visitor) => open(stage, visitor, (await stage.sealed({ text: TEXT })).path),
    "unread-passphrase-wrong": async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.text({ passphrase: "blue whale" })).path);
        await page.getByLabel("Passphrase").fill("red whale");
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    locked: async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.text({ passphrase: "blue whale" })).path);
        const locked = page.getByRole("heading", { name: "Too many wrong passphrases" });
        const input = page.getByLabel("Passphrase");
        for (let tries = 0; tries < 30 && !(await locked.isVisible()); tries += 1) {
            await input.fill(`${tries}`);
            await page.getByRole("button", { name: "Read the message" }).click();
            await page.getByRole("alert").or(locked).first().waitFor();
        }
        return page;
    },
    shown: async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.sealed({ text: TEXT })).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("region", { name: "Message" }).waitFor();
        return page;
    },
    "shown-again": async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.sealed({ text: TEXT })).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("region", { name: "Message" }).waitFor();
        await page.reload();
        await page.getByRole("region", { name: "Message" }).waitFor();
        return page;
    },
    finished: async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.text()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("button", { name: "Hide and erase" }).click();
        await page.getByRole("heading", { name: "You have read" }).waitFor();
        return page;
    },
    viewed: async (stage, visitor) => {
        const message = await stage.text();
        await stage.view(message);
        return open(stage, visitor, message.path);
    },
    burned: async (stage, visitor) => {
        const message = await stage.text();
        await stage.burn(message);
        return open(stage, visitor, message.path);
    },
    expired: async (stage, visitor) => {
        const message = await stage.text({ ttl: 1 });
        await stage.untilState(message, "EXPIRED");
        return open(stage, visitor, message.path);
    },
    unknown: async (stage, visitor) => {
        const { accessToken } = await stage.text();
        return open(stage, visitor, `/m/999999#${accessToken}`);
    },
    incomplete: (stage, visitor) => open(stage, visitor, "/m/1"),
    mistyped: (stage, visitor) => open(stage, visitor, `/m/1#${"0".repeat(64)}`),
    "key-missing": async (stage, visitor) => {
        const { id, accessToken } = await stage.sealed();
        return open(stage, visitor, `/m/${id}#${accessToken}`);
    },
    "key-mistyped": async (stage, visitor) => {
        const { path } = await stage.sealed();
        return open(stage, visitor, path.slice(0, -1) + (path.endsWith("A") ? "B" : "A"));
    },
    "not-sealed": async (stage, visitor) => open(stage, visitor, (await stage.textWithKey()).path),
    substituted: async (stage, visitor) => {
        await substituting(visitor, TEXT);
        const page = await open(stage, visitor, (await stage.sealed()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("heading", { name: "This text is not shown" }).waitFor();
        return page;
    },
    unreadable: async (stage, visitor) => {
        const page = await open(stage, visitor, (await stage.damaged()).path);
        await page.getByRole("button", { name: "Read the message" }).click();
        await page.getByRole("heading", { name: "cannot be decrypted" }).waitFor();
        return page;
    },
    away: async (stage, visitor) => {
        await failing(visitor, "LookupMessage", "STORE_UNAVAILABLE");
        return open(stage, visitor, (await stage.text()).path);
    },
    busy: async (stage, visitor) => {
        await failing(visitor, "LookupMessage", "OVERLOADED");
        return open(stage, visitor, (await stage.text()).path);
    },
    failed: async (stage, visitor) => {
        await failing(visitor, "LookupMessage", "INTERNAL");
        return open(stage, visitor, (await stage.text()).path);
    },
    documentation: (stage, visitor) => open(stage, visitor, "/api/docs"),
    "not-built": async (stage, visitor) => {
        const body = await readFile(new URL("../../../gateway-rest/src/page/not_built.html", import.meta.url), "utf8");
        await visitor.context.route(`${stage.url}/`, (route) => route.fulfill({ contentType: "text/html", body }));
        return open(stage, visitor, "/");
    },
    insecure: async (stage, visitor) => visitor.open(stage.insecureUrl + (await stage.sealed()).path),
    "create-insecure": (stage, visitor) => visitor.open(`${stage.insecureUrl}/`),
    admin: (stage, visitor) => open(stage, visitor, "/admin"),
    "admin-wrong": async (stage, visitor) => {
        const page = await open(stage, visitor, "/admin");
        await page.getByLabel("Admin token").fill("wrong");
        await page.getByRole("button", { name: "Open" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    "admin-none": (stage, visitor) => administrated(stage, visitor),
    "admin-configs": (stage, visitor) => administrated(stage, visitor, "old_bot", "team_bot"),
    "admin-add": async (stage, visitor) => {
        const page = await administrated(stage, visitor);
        await page.getByRole("button", { name: "Add a configuration" }).click();
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
    "admin-edit": async (stage, visitor) => {
        const page = await administrated(stage, visitor, "team_bot");
        await page.getByRole("button", { name: "Edit" }).click();
        return page;
    },
    "admin-test": async (stage, visitor) => {
        const page = await administrated(stage, visitor, "team_bot");
        await page.getByRole("button", { name: "Test" }).click();
        await page.getByText("Telegram cannot be reached now.").waitFor();
        return page;
    },
    "admin-delete": async (stage, visitor) => {
        const page = await administrated(stage, visitor, "team_bot");
        await page.getByRole("button", { name: "Delete" }).click();
        return page;
    },
    "admin-tested": async (stage, visitor) => {
        const page = await administrated(stage, visitor, "team_bot");
        const passed = { outcome: TestOutcome.OK, userName: "team_bot", displayName: "Team Bot" };
        await answering(
            visitor,
            "mayfly.bot.v1.BotService/TestAppConfig",
            toBinary(TestAppConfigResponseSchema, create(TestAppConfigResponseSchema, passed)),
        );
        await page.getByRole("button", { name: "Test" }).click();
        await page.getByText("@team_bot").waitFor();
        return page;
    },
    "admin-locked": async (stage, visitor) => {
        const page = await administrated(stage, visitor);
        await page.getByRole("button", { name: "Lock" }).click();
        await page.getByRole("alert").waitFor();
        return page;
    },
};
