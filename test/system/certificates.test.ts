// HTTPS of whole systems: a self-signed certificate where there is none, and automatic ones from pebble, an authority that
// asks the edge for proof; first ones, renewals under load, and what happens when a process is killed in between.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import tls from 'node:tls'
import type { AcmeHostView } from '../../src/system/control/views.ts'
import { type Pebble, startPebble } from '../tools/pebble.ts'
import { dead, freePort, type Site, site, until } from '../tools/system-harness.ts'

/** The certificate that a new client is shown. */
function shown(port: number, servername = 'shop.example'): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false }, () => {
      const der = socket.getPeerCertificate().raw
      socket.destroy()
      resolve(new X509Certificate(der))
    })
    socket.once('error', reject)
  })
}

interface Ports {
  readonly http: number
  readonly https: number
}

async function describe(shop: Site, acme: object | null): Promise<Ports> {
  const [http, https] = [await freePort(), await freePort()]
  shop.describe({
    services: { web: shop.service() },
    edge: {
      listen: { http: `127.0.0.1:${http}`, https: `127.0.0.1:${https}` },
      ...(acme === null ? {} : { tls: { acme } }),
    },
  })
  return { http, https }
}

async function withPebble(t: TestContext, hosts: readonly string[]): Promise<[Site, Ports, Pebble]> {
  const shop = site(t)
  const ports = [await freePort(), await freePort()] as const
  const pebble = await startPebble(t, ports[0])
  shop.describe({
    services: { web: shop.service() },
    edge: {
      listen: { http: `127.0.0.1:${ports[0]}`, https: `127.0.0.1:${ports[1]}` },
      tls: { acme: { directory: pebble.directory, caFile: pebble.caFile, hosts, agreeTerms: true } },
    },
  })
  return [shop, { http: ports[0], https: ports[1] }, pebble]
}

const hostOf = async (shop: Site, host: string): Promise<AcmeHostView | undefined> =>
  (await shop.status()).acme.find(one => one.host === host)

async function valid(shop: Site, host: string): Promise<AcmeHostView> {
  await until(`a certificate for ${host}`, async () => (await hostOf(shop, host))?.state === 'valid')
  return (await hostOf(shop, host)) as AcmeHostView
}

test('https without a certificate gets a self-signed one for this machine, said once, and keeps it', async t => {
  const shop = site(t)
  const { https } = await describe(shop, null)
  const up = await shop.begin()
  const said = up.lines.filter(line => line.type === 'event' && String(line.text).includes('self-signed'))
  assert.equal(said.length, 1, JSON.stringify(said))
  assert.match(JSON.stringify(said), /edge\.tls\.certificates.*edge\.tls\.acme/)
  const file = join(shop.directory, '.tenfold', 'tls', 'self-signed.pem')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const certificate = await shown(https, 'localhost')
  assert.equal(certificate.fingerprint256, new X509Certificate(readFileSync(file)).fingerprint256)
  const answer = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request(
      { host: 'localhost', port: https, path: '/', ca: readFileSync(file), agent: false },
      response => {
        response.resume()
        resolve(response.statusCode)
      },
    )
    asked.once('error', reject)
    asked.end()
  })
  assert.equal(answer, 200)
  const snapshot = readFileSync(join(shop.directory, '.tenfold', 'edge', 'snapshot.json'), 'utf8')
  assert.doesNotMatch(snapshot, /PRIVATE KEY/)
  assert.equal((await shop.run('stop')).code, 0)
  await shop.begin()
  assert.equal((await shown(https, 'localhost')).fingerprint256, certificate.fingerprint256)
})

test('automatic certificates come by themselves, and their renewal costs no request and no connection', async t => {
  const [shop, { https }, pebble] = await withPebble(t, ['shop.example', 'www.shop.example'])
  await shop.begin()
  await valid(shop, 'shop.example')
  await valid(shop, 'www.shop.example')
  const root = new X509Certificate(await pebble.root())
  const first = await shown(https)
  assert.equal(first.checkHost('shop.example'), 'shop.example')
  assert.equal((await shown(https, 'www.shop.example')).checkHost('www.shop.example'), 'www.shop.example')

  // Who trusts pebble's root trusts the whole chain that is sent.
  const load = startHttps(https, root.toString())
  await load.more(100)
  const renewed = await shop.run('renew', 'shop.example')
  assert.equal(renewed.code, 0, renewed.error)
  await until('the new certificate', async () => (await shown(https)).serialNumber !== first.serialNumber)
  await load.more(100)
  const all = await shop.run('renew')
  assert.equal(all.code, 0, all.error)
  await load.more(100)
  const { failures, connections } = await load.stop()
  assert.deepEqual(failures, [])
  assert.equal(connections, 1, 'the connection from before the renewals is still open')
  const unknown = await shop.run('renew', 'other.example')
  assert.equal(unknown.code, 2)
  assert.match(unknown.error, /SYSTEM_CERTIFICATE_UNKNOWN/)
})

test('an authority that fails is told with what comes next, and the self-signed certificate serves', async t => {
  const [shop, { https }, pebble] = await withPebble(t, ['bad.example', 'shop.example'])
  await shop.begin()
  await valid(shop, 'shop.example')
  await until('the refusal', async () => (await hostOf(shop, 'bad.example'))?.state === 'failed')
  const view = (await hostOf(shop, 'bad.example')) as AcmeHostView
  assert.match(view.text, /refuses/)
  assert.equal(view.validUntil, null)
  assert.ok(Date.parse(view.nextTryAt) > Date.now() + 2 * 60_000, view.nextTryAt)
  assert.match((await shop.run('status')).out, /bad\.example.*failed/)
  assert.match((await shown(https, 'bad.example')).subject, /localhost/)
  await pebble.stop()
  const refused = await shop.run('renew', 'shop.example')
  assert.equal(refused.code, 1)
  assert.match(refused.error, /SYSTEM_ACME_UNREACHABLE/)
  assert.equal((await shown(https)).checkHost('shop.example'), 'shop.example')
})

test('a supervisor killed in the middle of an order: the next one completes it; an edge killed then, too', async t => {
  const [shop, { https }, pebble] = await withPebble(t, ['shop.example'])
  // Orders begin and come to no end: the authority answers nothing.
  await pebble.stop()
  const silent = await pebble.silence()
  const { child, status } = await shop.begin()
  await until('the order', async () => (await hostOf(shop, 'shop.example'))?.state === 'issuing')
  child.kill('SIGKILL')
  await until('its end', () => dead(child.pid as number))
  await silent.end()
  await pebble.start()
  await shop.begin()
  await valid(shop, 'shop.example')
  assert.equal((await shown(https)).checkHost('shop.example'), 'shop.example')
  assert.equal((await shop.status()).edge.pid, status.edge.pid, 'the edge has served on')

  // The edge dies while the authority is being asked: the one that follows answers it.
  const before = await shown(https)
  const renewing = shop.run('renew')
  await until('the order', async () => (await hostOf(shop, 'shop.example'))?.state === 'issuing')
  process.kill((await shop.status()).edge.pid as number, 'SIGKILL')
  const renewed = await renewing
  // It may have been asked while nobody listened: then it says so, and somebody asks again.
  if (renewed.code !== 0) assert.equal((await shop.run('renew')).code, 0)
  await until('the new certificate', async () => {
    return (await shown(https).catch(() => before)).serialNumber !== before.serialNumber
  })
  const folder = join(shop.directory, '.tenfold', 'acme')
  assert.ok(existsSync(folder))
  for (const place of readdirSync(folder))
    for (const name of readdirSync(join(folder, place)))
      if (name.endsWith('.json')) assert.equal(statSync(join(folder, place, name)).mode & 0o777, 0o600)
})

interface HttpsLoad {
  more(count: number): Promise<void>
  stop(): Promise<{ readonly failures: readonly string[]; readonly connections: number }>
}

/** One client that keeps its connection, and one that connects anew for each request. Both verify. */
function startHttps(port: number, ca: string): HttpsLoad {
  const failures: string[] = []
  let done = 0
  let stopping = false
  const connections = new Set<object>()
  const kept = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = (agent: Agent | false): Promise<void> =>
    new Promise(resolve => {
      const options = { host: '127.0.0.1', servername: 'shop.example', port, ca, agent, path: '/' }
      const headers = { host: 'shop.example' }
      const asked = request({ ...options, headers }, response => {
        if (response.statusCode !== 200) failures.push(String(response.statusCode))
        response.resume()
        response.once('close', resolve)
      })
      asked.once('socket', socket => {
        if (agent !== false) connections.add(socket)
      })
      asked.once('error', error => {
        failures.push(String(error))
        resolve()
      })
      asked.end()
    })
  const client = async (agent: Agent | false): Promise<void> => {
    while (!stopping) {
      await ask(agent)
      done += 1
    }
  }
  const clients = [client(kept), client(false)]
  return {
    more: async count => {
      const target = done + count
      await until(`${target} answers`, () => done >= target)
    },
    stop: async () => {
      stopping = true
      await Promise.all(clients)
      kept.destroy()
      return { failures, connections: connections.size }
    },
  }
}
