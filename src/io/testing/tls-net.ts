// A driver of the seam whose streams are all under TLS, for the contract: the listener starts TLS on what it accepts, and
// keeps the news of the handshake from handlers that know only of accepted streams.

import { randomBytes } from 'node:crypto'
import type { Net, StreamHandler } from '../net.ts'
import { createTlsClient, createTlsServer } from '../tls.ts'

/** @param pair For `localhost`. @param ca Who signed it. */
export function overTls(net: Net, pair: { cert: string; key: string }, ca: string): Net {
  const server = createTlsServer({
    certificates: [{ hosts: [], ...pair, where: 'the test' }],
    alpn: [],
    minVersion: 'TLSv1.2',
    ticketKeys: randomBytes(48),
    clients: null,
  })
  const client = createTlsClient({ serverName: 'localhost', ca, verify: true })
  return {
    ...net,
    listen: options =>
      net.listen({
        ...options,
        handlerOf: stream => {
          stream.startTls(server)
          return deaf(options.handlerOf(stream))
        },
      }),
    connect: (host, port, handler) => net.connect(host, port, handler, client),
  }
}

function deaf(handler: StreamHandler): StreamHandler {
  return {
    opened() {},
    data: (stream, bytes, length) => handler.data(stream, bytes, length),
    ended: stream => handler.ended(stream),
    drained: stream => handler.drained(stream),
    closed: (stream, code) => handler.closed(stream, code),
  }
}
