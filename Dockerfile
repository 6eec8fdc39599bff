# One image for every role: `docker run mayfly store`, `… gateway`, `… bot`, `… up`.

FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci
COPY proto ../proto
COPY web .
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=web /src/web/dist web/dist
RUN cargo build --profile dist --locked --package mayfly

# Nothing is installed here: the program carries SQLite and the authorities that it trusts Telegram by. Authorities for
# `https://` URLs of other roles come from --ca.
FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/mayfly --shell /usr/sbin/nologin mayfly \
    && install --directory --mode 0700 --owner 10001 --group mayfly /var/lib/mayfly /var/lib/mayfly-certs \
    /var/lib/telegram-credentials
COPY --from=build /src/target/dist/mayfly /usr/local/bin/mayfly
USER 10001
ENV MAYFLY_DATA_DIR=/var/lib/mayfly
VOLUME /var/lib/mayfly
ENTRYPOINT ["mayfly"]
CMD ["--help"]
