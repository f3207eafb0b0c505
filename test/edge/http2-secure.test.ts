// HTTP/2 over TLS as browsers and gRPC speak it: Chromium loads a page over one connection, gRPC passes with channel
// credentials, and instances are reached by ALPN.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { chromium } from 'playwright-core'
import { createAuthority, writePair } from '../tools/certificates.ts'
import { type EdgeSetup, type EdgeUnderTest, startEdge } from '../tools/edge-harness.ts'
import { openHttp2 } from '../tools/http2-client.ts'
import { answering, startRawOrigin } from '../tools/raw-origin.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-http2-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = await createAuthority()
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority.ca)
const pair = writePair(folder, 'main', await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] }))

async function start(t: TestContext, setup: EdgeSetup): Promise<{ edge: EdgeUnderTest; port: number }> {
  const edge = await startEdge(t, {
    listeners: [{ id: 'https', kind: 'http', host: '127.0.0.1', port: 0, tls: true }],
    accessLog: true,
    ...setup,
    more: { tls: { certificates: [{ hosts: [], ...pair, source: 'file' }], minVersion: '1.2' } },
  })
  return { edge, port: await edge.portOf('https') }
}

test('Chromium loads a page and all that belongs to it over one HTTP/2 connection', async t => {
  const count = 60
  const page = `<!doctype html><title>films</title>${Array.from({ length: count }, (_, i) => `<img src="/i/${i}.svg">`).join('')}`
  const origin = await startRawOrigin(
    t,
    answering(({ startLine }) => {
      const picture = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
      const [type, body] = startLine.includes('/i/') ? ['image/svg+xml', picture] : ['text/html', page]
      return `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    }),
  )
  const { edge, port } = await start(t, { members: [origin.port] })
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--ignore-certificate-errors',
      '--no-first-run',
    ],
  })
  t.after(() => browser.close())
  const tab = await browser.newPage({ ignoreHTTPSErrors: true })
  await tab.goto(`https://localhost:${port}/`, { waitUntil: 'load' })
  assert.equal(await tab.title(), 'films')
  const loaded = await tab.evaluate<number>(
    '[...document.images].filter(image => image.complete && image.naturalWidth > 0).length',
  )
  assert.equal(loaded, count)
  const protocols = await tab.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(entry => (entry as PerformanceResourceTiming).nextHopProtocol),
  )
  assert.deepEqual(new Set(protocols), new Set(['h2']))
  const lines = await edge.logLines(count + 1)
  assert.ok(lines.every(line => line.protocol === '2.0'))
  await browser.close()
})

test('gRPC passes under TLS, to an instance under TLS', async t => {
  const server = new grpc.Server()
  const bytes = (text: string): Buffer => Buffer.from(text)
  const text = (from: Buffer): string => from.toString()
  const service = {
    say: {
      path: '/trial.Echo/say',
      requestStream: false,
      responseStream: true,
      requestSerialize: bytes,
      requestDeserialize: text,
      responseSerialize: bytes,
      responseDeserialize: text,
    },
  }
  server.addService(service, {
    say: (call: grpc.ServerWritableStream<string, string>) => {
      for (let i = 0; i < 100; i++) call.write(`${call.request} ${i}`)
      call.end()
    },
  })
  const credentials = grpc.ServerCredentials.createSsl(null, [
    { cert_chain: readFileSync(pair.certFile), private_key: readFileSync(pair.keyFile) },
  ])
  const instance = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  t.after(() => server.forceShutdown())
  const { port } = await start(t, {
    members: [instance],
    upstream: { protocol: 'h2', tls: { caFile, serverName: 'localhost', verify: true } },
  })
  const Client = grpc.makeGenericClientConstructor(service, 'Echo')
  const client = new Client(
    `localhost:${port}`,
    grpc.credentials.createSsl(readFileSync(caFile)),
  ) as unknown as {
    say(request: string): grpc.ClientReadableStream<string>
    close(): void
  }
  t.after(() => client.close())
  const heard: string[] = []
  for await (const one of client.say('hi')) heard.push(one as string)
  assert.equal(heard.length, 100)
  assert.equal(heard.at(-1), 'hi 99')
})

test('an instance under TLS that agrees on no HTTP/2 gets no request', async t => {
  let asked = 0
  const server = https.createServer(
    { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) },
    (_request, response) => {
      asked++
      response.end()
    },
  )
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>(resolve => server.close(() => resolve())))
  const { port } = await start(t, {
    members: [(server.address() as { port: number }).port],
    upstream: { protocol: 'h2', tls: { caFile, serverName: 'localhost', verify: true } },
  })
  const peer = await openHttp2(t, `https://localhost:${port}`, { ca: authority.ca })
  assert.equal((await peer.ask({ ':path': '/' })).status, 502)
  assert.equal(asked, 0)
})
