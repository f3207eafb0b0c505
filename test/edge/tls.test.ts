// HTTPS at the edge with clients that others wrote (curl, openssl, sslscan, node:https, node:http2): what is agreed on, who is
// shown which certificate, what is redirected; certificates that change under load; client certificates; TLS to instances.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { EdgeSnapshot, ListenerSpec, UpstreamTlsSpec } from '../../src/edge/snapshot.ts'
import { createAuthority, type Pair, writePair } from '../tools/certificates.ts'
import { type EdgeSetup, type EdgeUnderTest, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { openHttp2 } from '../tools/http2-client.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'tenfold-tls-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = await createAuthority()
const stranger = await createAuthority('Stranger')
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority.ca)
const strangerFile = join(folder, 'stranger.pem')
writeFileSync(strangerFile, stranger.ca)

const mainPair = await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] })
const main = writePair(folder, 'main', mainPair)
const shop = writePair(folder, 'shop', await authority.sign({ hosts: ['shop.example', '*.shop.example'] }))
const certificates = [
  { hosts: [], ...main, source: 'file' as const },
  { hosts: [], ...shop, source: 'file' as const },
]
const secure: ListenerSpec = { id: 'https', kind: 'http', host: '127.0.0.1', port: 0, tls: true }
const tlsSpec: NonNullable<EdgeSnapshot['tls']> = { certificates, minVersion: '1.2' }

interface Told {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** Tells what it was asked. */
function tell(request: http.IncomingMessage, response: http.ServerResponse): void {
  request.resume()
  response.setHeader('Content-Type', 'application/json')
  if (request.url === '/own-hsts') response.setHeader('Strict-Transport-Security', 'max-age=1')
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }))
}

const origin = http.createServer(tell)
await new Promise<void>(resolve => origin.listen(0, '127.0.0.1', resolve))
after(() => {
  origin.closeAllConnections()
  return new Promise<void>(resolve => origin.close(() => resolve()))
})
const originPort = (origin.address() as { port: number }).port

async function start(t: TestContext, change: EdgeSetup = {}): Promise<{ edge: EdgeUnderTest; port: number }> {
  const edge = await startEdge(t, {
    members: [originPort],
    listeners: [secure],
    ...change,
    more: { tls: tlsSpec, ...change.more },
  })
  return { edge, port: await edge.portOf('https') }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly certificate: string
}

/** One request on a connection of its own. */
function ask(port: number, path = '/', options: https.RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.get(
      { host: '127.0.0.1', port, path, servername: 'localhost', ca: authority.ca, agent: false, ...options },
      response => {
        let body = ''
        const socket = response.socket as tls.TLSSocket
        const certificate = socket.getPeerX509Certificate()?.subject ?? ''
        response.setEncoding('latin1').on('data', (part: string) => {
          body += part
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, certificate }),
        )
        response.on('error', reject)
      },
    )
    request.on('error', reject)
  })
}

const toldOf = ({ body }: { body: string }): Told => JSON.parse(body) as Told

test('curl is served over HTTP/1.1 and HTTP/2, and instances are told that it was https', async t => {
  const { port } = await start(t)
  for (const [version, expected] of [
    ['--http1.1', '1.1'],
    ['--http2', '2'],
  ]) {
    const args = ['-sS', '--cacert', caFile, version as string, '-w', '\n%{http_version}']
    const { stdout } = await run('curl', [...args, `https://localhost:${port}/films?page=2`])
    const [body, used] = stdout.split('\n')
    assert.equal(used, expected)
    const told = JSON.parse(body as string) as Told
    assert.equal(told.url, '/films?page=2')
    assert.equal(told.headers['x-forwarded-proto'], 'https')
    assert.equal(told.headers['x-forwarded-for'], '127.0.0.1')
  }
})

test('a listener without HTTP/2 agrees on HTTP/1.1', async t => {
  const { port } = await start(t, { listeners: [{ ...secure, http2: false }] })
  const args = ['-sS', '--cacert', caFile, '--http2', '-o', '/dev/null', '-w', '%{http_version}']
  const { stdout } = await run('curl', [...args, `https://localhost:${port}/`])
  assert.equal(stdout, '1.1')
})

test('Forwarded says https too', async t => {
  const { port } = await start(t, { forwarded: 'forwarded' })
  assert.match(String(toldOf(await ask(port)).headers.forwarded), /proto=https/)
})

test('the certificate is that of the exact name, of its wildcard, or the first', async t => {
  const { port } = await start(t)
  for (const [servername, name] of [
    ['localhost', 'CN=localhost'],
    ['shop.example', 'CN=shop.example'],
    ['www.shop.example', 'CN=shop.example'],
    ['unknown.example', 'CN=localhost'],
  ] as const) {
    const options = {
      servername: servername as string,
      rejectUnauthorized: false,
      headers: { host: servername },
    }
    const answer = await ask(port, '/', options)
    assert.deepEqual([answer.status, answer.certificate], [200, name], servername)
  }
})

test('openssl resumes sessions of TLS 1.2 and 1.3, on whichever worker it lands', async t => {
  const { edge, port } = await start(t, { workers: 2 })
  for (const version of ['-tls1_2', '-tls1_3']) {
    const file = join(folder, `session${version}.pem`)
    // Until the edge ends it: who leaves at the end of its own input has maybe not read its session yet.
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    await openssl(port, [version, '-ign_eof', '-sess_out', file], request)
    for (let round = 0; round < 6; round++) {
      const { output } = await openssl(port, [version, '-ign_eof', '-sess_in', file], request)
      assert.match(output, /^Reused, TLSv1\.[23]/m)
    }
  }
  const counts = await edge.metrics()
  const resumed = [...counts.matchAll(/^edge_tls_handshakes_total\{worker="\d",kind="resumed"\} (\d+)/gm)]
  assert.equal(resumed.length, 2)
  assert.equal(
    resumed.reduce((sum, [, count]) => sum + Number(count), 0),
    12,
  )
})

async function openssl(
  port: number,
  args: string[],
  input: string,
  until = /Verify return code/,
): Promise<{ output: string; code: number }> {
  const all = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    'localhost',
    '-CAfile',
    caFile,
    ...args,
  ]
  const child = spawn('openssl', all, { timeout: 60_000 })
  let output = ''
  let asked = false
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('latin1').on('data', (text: string) => {
      output += text
      // Input before the handshake is over would be lost; at the input's end openssl ends.
      if (!asked && output.includes('Verify return code')) asked = child.stdin.write(input) || true
      if (asked && until.test(output) && child.stdin.writable) child.stdin.end()
    })
  child.stdin.on('error', () => {})
  const [code] = (await once(child, 'close')) as [number]
  return { output, code }
}

test('a client can not renegotiate', async t => {
  const { port } = await start(t)
  const refused = /no renegotiation|handshake failure|unexpected/i
  const { output } = await openssl(port, ['-tls1_2'], 'R\n', refused)
  assert.match(output, /RENEGOTIATING/)
  assert.match(output, refused)
})

test('sslscan finds nothing to complain about', async t => {
  const { port } = await start(t)
  const { stdout } = await run('sslscan', ['--no-colour', '--sni-name=localhost', `127.0.0.1:${port}`], {
    timeout: 120_000,
  })
  for (const version of ['SSLv2', 'SSLv3', 'TLSv1.0', 'TLSv1.1'])
    assert.match(stdout, new RegExp(`^${version.replace('.', '\\.')}\\s+disabled`, 'm'))
  for (const version of ['TLSv1.2', 'TLSv1.3'])
    assert.match(stdout, new RegExp(`^${version.replace('.', '\\.')}\\s+enabled`, 'm'))
  assert.match(stdout, /Compression disabled|OpenSSL version does not support compression/)
  assert.match(stdout, /Session renegotiation not supported/)
  const suites = [...stdout.matchAll(/^(?:Preferred|Accepted)\s+(TLSv1\.\d)\s+(\d+) bits\s+(\S+)/gm)]
  assert.ok(suites.length >= 4, stdout)
  for (const [line, version, bits, name] of suites) {
    assert.ok(Number(bits) >= 128, line)
    assert.match(
      name as string,
      version === 'TLSv1.3' ? /^TLS_(AES|CHACHA20)/ : /^ECDHE-.*(GCM|CHACHA20)/,
      line,
    )
  }
  for (const [line, strength] of stdout.matchAll(/^TLSv1\.\d\s+(\d+) bits\s+\S+.*$/gm))
    assert.ok(Number(strength) >= 128, line)
  assert.doesNotMatch(stdout, /^\S+ vulnerable to heartbleed/m)
  assert.equal([...stdout.matchAll(/not vulnerable to heartbleed/g)].length, 2)
})

test('with 1.3 as the least version, 1.2 is refused', async t => {
  const { port } = await start(t, { more: { tls: { ...tlsSpec, minVersion: '1.3' } } })
  await assert.rejects(ask(port, '/', { maxVersion: 'TLSv1.2' }), /alert protocol version|EPROTO/)
  assert.equal((await ask(port)).status, 200)
})

test('requests for a host with another certificate than the connection’s are misdirected, over both protocols', async t => {
  const { port } = await start(t)
  const wrong = await ask(port, '/', { headers: { host: 'shop.example' } })
  assert.equal(wrong.status, 421)
  assert.match(wrong.body, /misdirected/)
  const shared = { servername: 'shop.example', rejectUnauthorized: false }
  assert.equal((await ask(port, '/', { ...shared, headers: { host: 'www.shop.example' } })).status, 200)
  const args = ['-sS', '-k', '--http2', '-o', '/dev/null', '-w', '%{http_version} %{http_code}']
  const { stdout } = await run('curl', [...args, '-H', 'Host: shop.example', `https://localhost:${port}/`])
  assert.equal(stdout, '2 421')
})

test('plain requests are sent to https with path, query and method; authorities that ask are not', async t => {
  const { edge, port } = await start(t, {
    more: {
      listeners: [{ id: 'http', kind: 'http', host: '127.0.0.1', port: 0, redirectToHttps: 0 }, secure],
    },
  })
  const args = ['-sS', '-o', '/dev/null', '-X', 'POST', '-w', '%{http_code} %{redirect_url}']
  const plain = `http://localhost:${edge.port}`
  const { stdout } = await run('curl', [...args, `${plain}/a%20b?c=d&e=/`])
  assert.equal(stdout, `308 https://localhost:${port}/a%20b?c=d&e=/`)
  const challenge = await run('curl', ['-sS', `${plain}/.well-known/acme-challenge/token`])
  assert.equal((JSON.parse(challenge.stdout) as Told).url, '/.well-known/acme-challenge/token')
  await edge.applySnapshot({
    ...edge.snapshot,
    version: edge.snapshot.version + 1,
    listeners: [{ id: 'http', kind: 'http', host: '127.0.0.1', port: 0, redirectToHttps: 443 }, secure],
  })
  const standard = await run('curl', [...args, `${plain}/x`])
  assert.equal(standard.stdout, '308 https://localhost/x')
  // Behind a balancer that ends TLS itself: its word counts when it is trusted, nobody else's.
  const forwarded = [...args, '-H', 'X-Forwarded-Proto: https', `${plain}/x`]
  assert.match((await run('curl', forwarded)).stdout, /^308 /)
  await edge.applySnapshot({
    ...edge.snapshot,
    version: edge.snapshot.version + 1,
    trustedProxies: ['127.0.0.0/8', '::1/128'],
  })
  assert.match((await run('curl', forwarded)).stdout, /^200 /)
  assert.match((await run('curl', [...args, `${plain}/x`])).stdout, /^308 /)
})

test('HSTS is said in every answer over TLS, once, and in none without', async t => {
  const hsts = 'max-age=31536000; includeSubDomains'
  const { edge, port } = await start(t, {
    more: {
      tls: { ...tlsSpec, hsts },
      routes: [
        {
          id: 'own',
          match: { path: '/own-hsts' },
          action: { kind: 'proxy', upstream: 'app', upgrade: false },
        },
        { id: 'app', match: { path: '/app' }, action: { kind: 'proxy', upstream: 'app', upgrade: false } },
      ],
    },
  })
  for (const path of ['/own-hsts', '/app', '/nothing-here'])
    assert.equal((await ask(port, path)).headers['strict-transport-security'], hsts, path)
  const misdirected = await ask(port, '/app', { headers: { host: 'shop.example' } })
  assert.equal(misdirected.headers['strict-transport-security'], hsts)
  const plain = await fetch(`${edge.url}/own-hsts`)
  assert.equal(plain.headers.get('strict-transport-security'), null)
})

// --- certificates that change -----------------------------------------------------------------------------------

interface OwnFiles {
  readonly spec: NonNullable<EdgeSnapshot['tls']>
  put(pair: Pair): void
  putCertificate(pair: Pair): void
  putKey(pair: Pair): void
}

/** A pair of files of the test's own. */
function ownFiles(name: string, pair: Pair): OwnFiles {
  const files = writePair(folder, name, pair)
  const write = (path: string, text: string): void => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
  return {
    spec: { certificates: [{ hosts: [], ...files, source: 'file' }], minVersion: '1.2' },
    put: next => {
      write(files.certFile, next.cert)
      write(files.keyFile, next.key)
    },
    putCertificate: next => write(files.certFile, next.cert),
    putKey: next => write(files.keyFile, next.key),
  }
}

async function shownBy(port: number): Promise<string> {
  return (await ask(port, '/', { rejectUnauthorized: false })).certificate
}

test('certificates are renewed under load without one request or connection lost', async t => {
  const files = ownFiles('renewed', mainPair)
  const { edge, port } = await start(t, { workers: 2, more: { tls: files.spec } })
  const keptAlive = new https.Agent({ keepAlive: true, maxSockets: 8 })
  let running = true
  let asked = 0
  const failures: string[] = []
  const client = async (agent: https.Agent | false): Promise<void> => {
    while (running) {
      await ask(port, '/', { agent, rejectUnauthorized: false }).then(
        answer => answer.status === 200 || failures.push(`${answer.status}`),
        (error: Error) => failures.push(error.message),
      )
      asked++
    }
  }
  // One connection that stays open through all of it.
  const lasting = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: authority.ca })
  let heard = ''
  lasting.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  await once(lasting, 'secureConnect')
  const clients = [client(keptAlive), client(keptAlive), client(keptAlive), client(false), client(false)]
  for (let round = 1; round <= 4; round++) {
    files.put(await authority.sign({ hosts: ['localhost'], name: `round ${round}` }))
    const seen = asked
    const { changed, problems } = await edge.call('reloadCertificates', {})
    assert.deepEqual(problems, [])
    assert.ok(changed.length <= 1)
    await until('the new certificate', async () => (await shownBy(port)) === `CN=round ${round}`)
    await until('more requests', () => asked > seen + 20)
  }
  running = false
  await Promise.all(clients)
  keptAlive.destroy()
  lasting.write('GET /still HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('an answer on the old connection', () => heard.includes('"/still"'))
  lasting.destroy()
  assert.deepEqual(failures, [])
  const [certificate] = (await edge.status()).certificates
  assert.equal(certificate?.subject, 'CN=round 4')
  assert.ok((certificate?.daysLeft ?? 0) > 80)
})

test('files that change are noticed without being asked; half a pair changes nothing and is told', async t => {
  const files = ownFiles('noticed', mainPair)
  const { edge, port } = await start(t, { more: { tls: files.spec } })
  const next = await authority.sign({ hosts: ['localhost'], name: 'next' })
  files.putCertificate(next)
  await until('the mismatch to be told', () =>
    edge.events.some(one => one.text.includes('does not belong') && one.text.includes('stays in use')),
  )
  assert.equal(await shownBy(port), 'CN=localhost')
  assert.match((await edge.status()).certificates[0]?.problem ?? '', /does not belong/)
  files.putKey(next)
  await until('the whole pair', async () => (await shownBy(port)) === 'CN=next')
  assert.equal((await edge.status()).certificates[0]?.problem, '')
  // Nothing of a key is ever told.
  const told = JSON.stringify([edge.events, await edge.status(), edge.snapshot])
  for (const line of next.key.split('\n').filter(text => text.length > 20)) assert.ok(!told.includes(line))
})

test('a snapshot whose certificate can’t be used is refused, and the one in use stays', async t => {
  const { edge, port } = await start(t)
  const certificate = { hosts: [], certFile: main.certFile, keyFile: shop.keyFile, source: 'file' as const }
  const next = { ...edge.snapshot, version: 2, tls: { ...tlsSpec, certificates: [certificate] } }
  await assert.rejects(edge.applySnapshot(next), /IO_TLS_KEY_MISMATCH|does not belong/)
  const missing = { ...certificate, certFile: join(folder, 'missing.pem') }
  const other = { ...edge.snapshot, version: 2, tls: { ...tlsSpec, certificates: [missing] } }
  await assert.rejects(edge.applySnapshot(other), /EDGE_CERTIFICATE_FILE|ENOENT/)
  assert.equal(await shownBy(port), 'CN=localhost')
  assert.equal((await edge.status()).version, 1)
})

// --- handshakes that do not come about ---------------------------------------------------------------------------

test('a client that does not speak, or no TLS, is closed in time and counted', async t => {
  const { edge, port } = await start(t, { limits: { headTimeoutMs: 500 } })
  for (const said of ['', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n']) {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(said))
    socket.on('error', () => {})
    socket.resume()
    await once(socket, 'close')
  }
  await until('both to be counted', async () =>
    (await edge.metrics()).includes('edge_tls_handshakes_total{worker="0",kind="failed"} 2'),
  )
  await until('no connection to be left', async () =>
    (await edge.status()).workers.every(worker => worker.connections === 0),
  )
})

test('handshakes count among the connections that are allowed', async t => {
  const { edge, port } = await start(t, { limits: { connectionsMax: 3 } })
  const silent = Array.from({ length: 3 }, () => connectTcp(port, '127.0.0.1'))
  t.after(() => {
    for (const socket of silent) socket.destroy()
  })
  await until('three connections', async () =>
    (await edge.status()).workers.some(worker => worker.connections === 3),
  )
  await assert.rejects(ask(port))
  for (const socket of silent) socket.destroy()
  await until('room', async () => (await edge.status()).workers.every(worker => worker.connections === 0))
  assert.equal((await ask(port)).status, 200)
})

test('a PROXY header comes before the handshake, from listed peers', async t => {
  const { port } = await start(t, { listeners: [{ ...secure, proxyProtocol: ['127.0.0.0/8'] }] })
  const socket = connectTcp(port, '127.0.0.1')
  await new Promise(resolve => socket.write('PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n', resolve))
  const answer = await ask(port, '/', {
    agent: undefined,
    createConnection: () => tls.connect({ socket, servername: 'localhost', ca: authority.ca }),
  })
  assert.equal(toldOf(answer).headers['x-forwarded-for'], '192.0.2.7')
  await assert.rejects(ask(port), 'a listed peer without a header is refused')
})

test('a TCP listener ends TLS for instances that know none', async t => {
  const listener: ListenerSpec = {
    id: 'bytes',
    kind: 'tcp',
    host: '127.0.0.1',
    port: 0,
    upstream: 'app',
    tls: true,
    idleTimeoutMs: 60_000,
  }
  const { edge } = await start(t, { listeners: [listener] })
  const answer = await ask(await edge.portOf('bytes'), '/through')
  assert.equal(toldOf(answer).url, '/through')
  assert.equal(toldOf(answer).headers['x-forwarded-for'], undefined)
})

// --- client certificates -----------------------------------------------------------------------------------------

const alice = await authority.sign({ hosts: [], name: 'alice Bücher 100%', client: true })
const mallory = await stranger.sign({ hosts: [], name: 'alice', client: true })
const identitySecret = Buffer.from('what only edge and instance know').toString('base64')
const forged = {
  'Client-Cert': ':Zm9yZ2Vk:',
  'Client-Cert-Chain': ':Zm9yZ2Vk:',
  'X-Client-Identity': 'subject="CN=root",fingerprint="00",at=1;sig=AAAA',
}

function asking(mode: 'optional' | 'required'): Partial<EdgeSnapshot> {
  return { tls: { ...tlsSpec, clientCertificates: { caFile, mode } }, identitySecret }
}

test('where client certificates are optional, who has a valid one is named to instances, and nobody can forge that', async t => {
  const { edge, port } = await start(t, { more: asking('optional') })
  const nobody = toldOf(await ask(port, '/', { headers: forged }))
  const plain = (await (await fetch(edge.url, { headers: forged })).json()) as Told
  for (const { headers } of [nobody, plain])
    for (const name of Object.keys(forged)) assert.equal(headers[name.toLowerCase()], undefined, name)
  const named = toldOf(await ask(port, '/', { ...alice, headers: forged }))
  const identity = String(named.headers['x-client-identity'])
  assert.match(
    identity,
    /^subject="CN=alice B%C3%BCcher 100%25",fingerprint="(?:[0-9A-F]{2}:){31}[0-9A-F]{2}",at=\d+;sig=/,
  )
  const { clientIdentity } = await documentedCheck()
  const wanted = {
    subject: 'CN=alice Bücher 100%',
    fingerprint: new X509Certificate(alice.cert).fingerprint256,
  }
  assert.deepEqual(clientIdentity(named.headers, identitySecret), wanted)
  assert.equal(clientIdentity(named.headers, Buffer.from('another').toString('base64')), null)
  const altered = { 'x-client-identity': identity.replace('alice', 'admin') }
  assert.equal(clientIdentity(altered, identitySecret), null)
  assert.equal(clientIdentity({}, identitySecret), null)
  const der = /^:(.+):$/.exec(String(named.headers['client-cert']))?.[1] as string
  assert.ok(alice.cert.replaceAll('\n', '').includes(der.slice(0, 60)))
  await assert.rejects(ask(port, '/', mallory), 'one that does not verify is turned away')
  const peer = await openHttp2(t, `https://localhost:${port}`, { ...alice, ca: authority.ca })
  const over2 = await peer.ask({ ':path': '/two', ...forged })
  assert.match(
    String((JSON.parse(over2.body.toString()) as Told).headers['x-client-identity']),
    /^subject="CN=alice/,
  )
})

type Check = (headers: IncomingHttpHeaders, secret: string) => { subject: string; fingerprint: string } | null

/** The code that operators copy from the page, as it stands there. */
async function documentedCheck(): Promise<{ clientIdentity: Check }> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/operate/client-certificates.md'), 'utf8')
  const code = /```js\n([\s\S]+?)```/.exec(page)?.[1] as string
  const path = join(folder, 'client-identity.mjs')
  writeFileSync(path, code)
  return (await import(pathToFileURL(path).href)) as { clientIdentity: Check }
}

test('where client certificates are required, nobody passes without a valid one', async t => {
  const { port } = await start(t, { more: asking('required') })
  await assert.rejects(ask(port))
  await assert.rejects(ask(port, '/', mallory))
  assert.equal((await ask(port, '/', alice)).status, 200)
})

// --- TLS to instances --------------------------------------------------------------------------------------------

async function secureOrigin(t: TestContext, pair: Pair, options: https.ServerOptions = {}): Promise<number> {
  const server = https.createServer({ ...pair, ...options }, tell)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  return (server.address() as { port: number }).port
}

const internal = await authority.sign({ hosts: ['api.internal', 'ip:127.0.0.1'] })

async function through(t: TestContext, pair: Pair, spec: UpstreamTlsSpec, options?: https.ServerOptions) {
  const port = await secureOrigin(t, pair, options)
  const edge = await startEdge(t, { members: [port], upstream: { tls: spec }, accessLog: true })
  const response = await fetch(`${edge.url}/inside`)
  return { edge, status: response.status, body: await response.text() }
}

test('instances are reached over TLS: by name, by address, and with a certificate of our own', async t => {
  const byName = await through(t, internal, { serverName: 'api.internal', caFile, verify: true })
  assert.deepEqual([byName.status, (JSON.parse(byName.body) as Told).url], [200, '/inside'])
  const byAddress = await through(t, internal, { caFile, verify: true })
  assert.equal(byAddress.status, 200)
  const own = writePair(folder, 'own', await authority.sign({ hosts: [], name: 'edge', client: true }))
  const asked = { requestCert: true, rejectUnauthorized: true, ca: authority.ca }
  const both = await through(t, internal, { caFile, verify: true, ...own }, asked)
  assert.equal(both.status, 200)
})

test('an instance that must not be trusted gets no request: 502, and the reason is told', async t => {
  const expired = await authority.sign({ hosts: ['api.internal'], fromDays: -30, untilDays: -1 })
  const cases: readonly [string, Pair, UpstreamTlsSpec, RegExp][] = [
    ['authority', internal, { serverName: 'api.internal', caFile: strangerFile, verify: true }, /UNABLE_TO/],
    [
      'name',
      internal,
      { serverName: 'other.internal', caFile, verify: true },
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    ],
    ['time', expired, { serverName: 'api.internal', caFile, verify: true }, /CERT_HAS_EXPIRED/],
  ]
  for (const [what, pair, spec, reason] of cases) {
    const { edge, status, body } = await through(t, pair, spec)
    assert.equal(status, 502, what)
    assert.doesNotMatch(body, reason, 'clients are not told')
    await until(`the reason (${what})`, () =>
      edge.events.some(one => one.subject === 'app/app-0' && reason.test(one.text)),
    )
    const [line] = await edge.logLines(1)
    assert.equal(line?.error, 'instance-unreachable')
  }
  const blind = await through(t, expired, { serverName: 'api.internal', caFile, verify: false })
  assert.equal(blind.status, 200)
})

test('large bodies pass whole, over TLS on both sides', async t => {
  const echo = https.createServer(internal, (request, response) => request.pipe(response))
  await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    echo.closeAllConnections()
    return new Promise<void>(resolve => echo.close(() => resolve()))
  })
  const { port } = await start(t, {
    more: {
      upstreams: [
        upstreamOf('app', [(echo.address() as { port: number }).port], { tls: { caFile, verify: true } }),
      ],
    },
  })
  const file = join(folder, 'large.bin')
  const size = 24 << 20
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) % 0x1_0000_0000, at)
  writeFileSync(file, bytes)
  for (const version of ['--http1.1', '--http2']) {
    const out = join(folder, `out${version}`)
    await run('curl', [
      '-sS',
      '--cacert',
      caFile,
      version,
      '--data-binary',
      `@${file}`,
      '-o',
      out,
      `https://localhost:${port}/`,
    ])
    await run('cmp', [file, out])
  }
})
