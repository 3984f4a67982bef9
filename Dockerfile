# One image for every service: docker build -t posthorn .
# The build stage keeps its compiler cache between builds where the builder supports cache mounts.
FROM debian:bookworm-slim AS build
COPY scripts /src/scripts
RUN /src/scripts/install-deps build && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV CCACHE_DIR=/ccache CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=true CCACHE_COMPILERCHECK=content
# The tests build without optimisation, because it takes a third of the time.
ARG CXX_FLAGS="-O2 -g1 -DNDEBUG"
RUN --mount=type=cache,target=/ccache \
    cmake --preset release -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="$CXX_FLAGS" && cmake --build build/release --target posthorn posthornctl posthorn-sendmail \
    && strip build/release/apps/posthorn/posthorn build/release/apps/posthornctl/posthornctl \
       build/release/apps/posthorn-sendmail/posthorn-sendmail

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libabsl20220623 libhiredis0.14 libjemalloc2 libpq5 libunbound8 \
      libsodium23 libssl3 libspdlog1.10 libprometheus-cpp-core1.0 libyaml-cpp0.7 libzstd1 \
      libicu72 libidn2-0 libgsasl18 libcurl4 libpsl5 publicsuffix libcrypt1 ca-certificates \
      openssl \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 posthorn \
    && useradd --uid 10001 --gid posthorn --home-dir /var/lib/posthorn --shell /usr/sbin/nologin \
         posthorn \
    && install -d -o posthorn -g posthorn /var/lib/posthorn /etc/posthorn /etc/posthorn/secret
COPY --from=build /src/build/release/apps/posthorn/posthorn /usr/local/bin/
COPY --from=build /src/build/release/apps/posthornctl/posthornctl /usr/local/bin/
COPY --from=build /src/build/release/apps/posthorn-sendmail/posthorn-sendmail /usr/local/bin/
COPY docker/compose-prepare /usr/local/lib/posthorn/
USER 10001:10001
VOLUME /var/lib/posthorn
EXPOSE 10025 10587 10465 10143 10993 10110 10995 2900 2901
ENTRYPOINT ["/usr/local/bin/posthorn"]
CMD ["help"]
