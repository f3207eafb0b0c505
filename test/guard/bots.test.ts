// Risk on a real edge: real clients over plain HTTP, TLS and HTTP/2 and what counts against them; crawlers that are what
// they say and that are not (row 25), signed ones, honeypots, the graded answers.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, hash, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import type { ListenerSpec } from '../../src/edge/snapshot.ts'
import type { CheckedRisk } from '../../src/file/checked-guard.ts'
import type { RequestRecord } from '../../src/guard/messages.ts'
import type { GuardSpec } from '../../src/guard/part.ts'
import { createAuthority, writePair } from '../tools/certificates.ts'
import type { EdgeSetup } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { cleared, routes } from './challenges.ts'
import { type AskedRequest, type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'tenfold-bots-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = await createAuthority()
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority.ca)
const pair = writePair(folder, 'main', await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] }))
const secure: ListenerSpec = { id: 'https', kind: 'http', host: '127.0.0.1', port: 0, tls: true }

const never = 101
const thresholds: CheckedRisk = { slowAt: 40, challengeAt: 50, queueAt: 80, refuseAt: 95, slowMs: 50 }
/** Everything is noted, nothing is done. */
const watching = policyOf('trial', {
  detectOnly: ['bots'],
  risk: { slowAt: 1, challengeAt: never, queueAt: never, refuseAt: never, slowMs: 1 },
})

const chrome =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36'
const googlebot = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'
/** As Chromium sends them over plain HTTP to a host that is not this machine. */
const chromeFields = [
  'Connection: keep-alive',
  'Upgrade-Insecure-Requests: 1',
  `User-Agent: ${chrome}`,
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate',
  'Accept-Language: en-GB,en;q=0.9',
  '',
].join('\r\n')

interface Bots extends GuardedEdge {
  readonly secureUrl: string
  /** What is on record of each request that reached the instance; null: nothing counted against it. */
  risks(): Promise<(RequestRecord | null)[]>
}

async function start(
  t: TestContext,
  guard: GuardSpec = specOf([watching]),
  setup: EdgeSetup = {},
): Promise<Bots> {
  const edge = await startGuardedEdge(
    t,
    guard,
    {
      listeners: [secure],
      trustedProxies: ['127.0.0.2/32'],
      ...setup,
      more: { tls: { certificates: [{ hosts: [], ...pair, source: 'file' }], minVersion: '1.2' } },
    },
    answering(() => ok('<!doctype html><title>shop</title>', 'Content-Type: text/html\r\n')),
  )
  const port = await edge.edge.portOf('https')
  return {
    ...edge,
    secureUrl: `https://localhost:${port}`,
    risks: async () => {
      const ids = edge.origin.requests.map(request => request.fields.get('x-request-id') ?? '')
      // Records come in order: what was asked before the last one is known by then.
      await edge.ask({ path: '/last', fields: 'User-Agent: curl/8\r\n' })
      const last = edge.origin.requests.at(-1)?.fields.get('x-request-id') ?? ''
      await edge.explained(last)
      return Promise.all(ids.map(id => edge.question<RequestRecord | null>({ kind: 'explain', id })))
    },
  }
}

/** The greatest risk of all requests so far, and every reason. */
async function summed(edge: Bots): Promise<{ risk: number; reasons: string[] }> {
  const all = (await edge.risks()).filter(one => one !== null)
  return {
    risk: Math.max(0, ...all.map(one => one.risk)),
    reasons: [...new Set(all.flatMap(one => one.riskReasons))].sort(),
  }
}

test('curl, Node and Python say what they are and stay far below a challenge, over HTTP/1.1, HTTP/2 and TLS', async t => {
  const edge = await start(t)
  const { url } = edge.edge
  for (const version of ['--http1.1', '--http2'])
    await run('curl', ['-sS', '--cacert', caFile, version, '-o', '/dev/null', edge.secureUrl])
  await run('curl', ['-sS', '-o', '/dev/null', url])
  await run(process.execPath, ['-e', `await (await fetch(${JSON.stringify(url)})).text()`])
  const script = `await (await fetch(${JSON.stringify(edge.secureUrl)})).text()`
  await run(process.execPath, ['-e', script], { env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile } })
  await run('python3', ['-c', `import urllib.request; urllib.request.urlopen(${JSON.stringify(url)}).read()`])
  assert.equal(edge.origin.requests.length, 6)
  const risks = await edge.risks()
  assert.deepEqual(
    risks.map(one => [one?.risk, one?.riskReasons]),
    new Array(6).fill([20, ['its User-Agent is that of a tool or library']]),
  )
})

test('Chromium has nothing against it but that it has no window, over HTTP/1.1 and HTTP/2, in pages and what they load', async t => {
  const edge = await start(t)
  const flags = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--ignore-certificate-errors',
  ]
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, headless: true })
  t.after(() => browser.close())
  for (const url of [edge.secureUrl, edge.edge.url]) {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
    await page.goto(`${url}/page`)
    await page.evaluate(`(async () => {
      await fetch('/data', { method: 'POST', body: '{}' })
      await new Promise(resolve => {
        const image = new Image()
        image.onload = image.onerror = resolve
        image.src = '/picture.png'
      })
    })()`)
    await page.reload()
    await page.close()
  }
  const { risk, reasons } = await summed(edge)
  assert.ok(edge.origin.requests.length >= 8)
  assert.deepEqual([risk, reasons], [30, ['it says that it is a browser without a window']])
})

test('who claims to be Chromium and begins TLS as another library, without its fields, has a full score', async t => {
  const edge = await start(t)
  const asChrome = ['-sS', '--cacert', caFile, '-A', chrome, '-o', '/dev/null', edge.secureUrl]
  await run('curl', asChrome)
  const [plain] = await edge.risks()
  assert.equal(plain?.risk, 100)
  assert.ok(plain?.riskReasons.includes('it begins TLS as no browser of this kind does'))
  assert.ok(plain?.riskReasons.includes('a Chromium of this version sends Sec-CH-UA over TLS'))
})

test('old browsers, unknown ones and apps are asked for nothing', async t => {
  const edge = await start(t)
  const agents = [
    'Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko',
    'Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148',
    'Shop/7.2 CFNetwork/1494 Darwin/23.4.0',
    'Lynx/2.9.0 libwww-FM/2.14',
  ]
  for (const agent of agents)
    await edge.ask({ fields: `User-Agent: ${agent}\r\nAccept: text/html\r\nAccept-Language: en\r\n` })
  assert.deepEqual(await edge.risks(), new Array(agents.length).fill(null))
})

test('behind a trusted proxy only what that passes on is judged', async t => {
  const edge = await start(t, specOf([watching]), { trustedProxies: ['127.0.0.0/8'] })
  const lower = chromeFields.replace('User-Agent', 'user-agent')
  await edge.ask({ client: '203.0.113.9', fields: lower })
  assert.deepEqual(await edge.risks(), [null])
})

test('row 25: a Googlebot from an address that is not its own is told apart at once, one from its ranges is served', async t => {
  const file = join(folder, 'google.json')
  writeFileSync(file, JSON.stringify({ name: 'google', prefixes: [{ ipv4Prefix: '203.0.113.0/24' }] }))
  const spec = specOf([policyOf('trial', { risk: thresholds, challenge: 'suspicious' })], {
    bots: { ...specOf().bots, crawlerFiles: [file] },
  })
  const edge = await start(t, spec, { trustedProxies: ['127.0.0.0/8'] })
  const fields = `User-Agent: ${googlebot}\r\nAccept: application/json\r\n`
  const fake = await edge.ask({ fields, client: '10.1.2.3' })
  assert.equal(fake.status, 403)
  assert.equal((await edge.ask({ fields, client: '203.0.113.77' })).status, 200)
  assert.equal(edge.origin.requests.length, 1)
  const id = (JSON.parse(fake.body.toString()) as { error: { requestId: string } }).error.requestId
  const record = await edge.explained(id)
  assert.ok(record.riskReasons.includes('it claims to be a crawler that it is not'))
})

test('crawlers of AI services are refused by what they are for, whether they are proven or only say so', async t => {
  const spec = specOf([policyOf('trial', { risk: thresholds })], {
    bots: { ...specOf().bots, aiCrawlers: { search: 'allow', training: 'refuse', user: 'allow' } },
  })
  const edge = await start(t, spec)
  const asked = async (agent: string): Promise<number> => {
    const fields = `User-Agent: Mozilla/5.0 (compatible; ${agent}; +https://bots.example)\r\nAccept: text/html\r\n`
    return (await edge.ask({ fields })).status
  }
  assert.equal(await asked('GPTBot/1.2'), 403)
  assert.equal(await asked('Bytespider'), 403)
  assert.equal(edge.origin.requests.length, 0)
})

interface Signer {
  readonly key: KeyObject
  readonly id: string
  readonly file: string
}

function signer(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { x } = publicKey.export({ format: 'jwk' })
  const file = join(folder, `keys-${randomBytes(4).toString('hex')}.json`)
  writeFileSync(file, JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x }] }))
  return {
    key: privateKey,
    id: hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url'),
    file,
  }
}

interface Signing {
  readonly authority?: string
  readonly created?: number
  readonly expires?: number
  readonly nonce?: string
  readonly tag?: string
}

function signed(by: Signer, change: Signing = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const { authority: host = 'shop.example', created = now, expires = now + 60 } = change
  const { nonce = randomBytes(16).toString('base64'), tag = 'web-bot-auth' } = change
  const parameters = `("@authority" "signature-agent");created=${created};expires=${expires};keyid="${by.id}";alg="ed25519";nonce="${nonce}";tag="${tag}"`
  const agent = '"https://bot.example"'
  const base = `"@authority": ${host}\n"signature-agent": ${agent}\n"@signature-params": ${parameters}`
  const signature = sign(null, Buffer.from(base), by.key).toString('base64')
  return `User-Agent: python-bot\r\nSignature-Agent: ${agent}\r\nSignature-Input: sig1=${parameters}\r\nSignature: sig1=:${signature}:\r\n`
}

test('a request that a listed crawler signed has no risk, once; one that is replayed, old, of another site or key has', async t => {
  const bot = signer()
  const spec = specOf([watching], {
    bots: { ...specOf().bots, signatureAgents: [{ agent: 'https://bot.example', keysFile: bot.file }] },
  })
  const edge = await start(t, spec, { workers: 2 })
  const once = signed(bot)
  const seconds = Math.floor(Date.now() / 1000)
  const cases: readonly [string, string, boolean][] = [
    ['good', once, true],
    ['the same nonce again', once, false],
    ['another good one', signed(bot), true],
    ['for another site', signed(bot, { authority: 'other.example' }), false],
    ['too old', signed(bot, { created: seconds - 120, expires: seconds - 60 }), false],
    ['from the future', signed(bot, { created: seconds + 600, expires: seconds + 900 }), false],
    ['for longer than a day', signed(bot, { expires: seconds + 100_000 }), false],
    ['another tag', signed(bot, { tag: 'other' }), false],
    ['another key', signed(signer()), false],
    ['another agent', once.replace('https://bot.example', 'https://evil.example'), false],
  ]
  for (const [, fields] of cases) await edge.ask({ fields })
  const risks = await edge.risks()
  assert.deepEqual(
    risks.map((record, at) => [cases[at]?.[0], record === null]),
    cases.map(([name, , good]) => [name, good]),
  )
})

test('who asks for a honeypot is challenged for an hour, and so is who fills in a field that people do not see', async t => {
  const spec = specOf([policyOf('trial', { risk: thresholds, challenge: 'suspicious' })], {
    bots: { ...specOf().bots, honeypots: ['/wp-login.php'], honeypotFields: ['website'] },
  })
  const edge = await start(t, spec, { workers: 2 })
  const browser = (fields: string, more: Partial<AskedRequest> = {}): Promise<number> =>
    edge.ask({ fields: `${fields}`, ...more }).then(({ status }) => status)
  assert.equal(await browser(chromeFields), 200)
  assert.equal(await browser(chromeFields, { path: '/wp-login.php?x=1' }), 403)
  for (let i = 0; i < 6; i++) assert.equal(await browser(chromeFields), 403)
  // Another browser of the same address has done nothing.
  const other = chromeFields.replace('Chrome/156', 'Chrome/155')
  assert.equal(await browser(other), 200)
  const form = `${other}Content-Type: application/x-www-form-urlencoded\r\n`
  assert.equal(await browser(form, { method: 'POST', body: 'name=a&website=' }), 200)
  assert.equal(await browser(form, { method: 'POST', body: 'name=a&website=x' }), 403)
  assert.equal(await browser(other), 403)
})

test('row 25: of 500 users behind one address, the one who asked for a honeypot does not make the others pay', async t => {
  const spec = specOf([policyOf('trial', { risk: thresholds, challenge: 'suspicious' })], {
    identity: { account: [], session: [{ by: 'cookie', name: 'sid' }], key: [] },
    bots: { ...specOf().bots, honeypots: ['/trap'] },
  })
  const edge = await start(t, spec, { workers: 2 })
  const peers = await Promise.all(Array.from({ length: 4 }, () => edge.edge.connect()))
  const ask = async (user: number, path = '/'): Promise<number> => {
    const peer = peers[user % peers.length]!
    peer.write(
      `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${chromeFields}Cookie: sid=user-${user}\r\n\r\n`,
    )
    return (await peer.response('GET')).status
  }
  const each = async (expected: (user: number) => number): Promise<void> => {
    const series = peers.map(async (_, first) => {
      for (let user = first; user < 500; user += peers.length)
        assert.equal(await ask(user), expected(user), `user ${user}`)
    })
    await Promise.all(series)
  }
  const begun = Date.now()
  for (let round = 0; round < 3; round++) await each(() => 200)
  // Who is to answer for himself has been there for ten seconds.
  await new Promise(resolve => setTimeout(resolve, Math.max(0, 10_500 - (Date.now() - begun))))
  assert.equal(await ask(7, '/trap'), 403)
  await each(user => (user === 7 ? 403 : 200))
  for (const peer of peers) peer.destroy()
})

test('a risk that is enough for it slows a request, queues it or refuses it; who is allowed by the file is never scored', async t => {
  const risk = (change: Partial<CheckedRisk>): GuardSpec =>
    specOf([policyOf('trial', { risk: { ...thresholds, ...change } })])
  const edge = await start(t, risk({ slowAt: 20 }))
  const tool = 'User-Agent: curl/8.0\r\nAccept: application/json\r\n'
  assert.equal((await edge.ask({ fields: tool })).status, 200)
  const slowed = await edge.explained(edge.origin.requests[0]?.fields.get('x-request-id') ?? '')
  assert.equal(slowed.findings[0]?.rule, 'risk:slow')
  await edge.reload(risk({ refuseAt: 20 }))
  const refused = await edge.ask({ fields: tool })
  const { error } = JSON.parse(refused.body.toString()) as { error: { code: string; requestId: string } }
  assert.deepEqual([refused.status, error.code], [403, 'GUARD_BOT_REFUSED'])
  const record = await edge.explained(error.requestId)
  assert.deepEqual([record.findings[0]?.rule, record.findings[0]?.would], ['risk:refuse', 'A risk below 20.'])
  await edge.reload({ ...risk({ refuseAt: 20 }), allow: ['127.0.0.0/8'] })
  assert.equal((await edge.ask({ fields: tool })).status, 200)
})

test('a file of crawlers or keys that can not be used is refused with the snapshot', async t => {
  const edge = await start(t)
  const bad = join(folder, 'bad.json')
  writeFileSync(bad, '{ "name": "x", "ranges": ["not an address"] }')
  const bots = specOf().bots
  const policies = [policyOf('trial', { risk: thresholds })]
  for (const change of [
    { crawlerFiles: [bad] },
    { dataCentreFiles: [bad] },
    { signatureAgents: [{ agent: 'https://bot.example', keysFile: bad }] },
  ])
    await assert.rejects(edge.reload(specOf(policies, { bots: { ...bots, ...change } })), /bad\.json/)
  assert.equal((await edge.ask({ fields: chromeFields })).status, 200)
})

test('a page of another site that loads a honeypot makes nobody risky, and going there does', async t => {
  const spec = specOf([policyOf('trial', { risk: thresholds, challenge: 'suspicious' })], {
    bots: { ...specOf().bots, honeypots: ['/trap'], honeypotFields: ['website'] },
  })
  const edge = await start(t, spec)
  const page = (path = '/'): Promise<number> =>
    edge.ask({ path, fields: chromeFields }).then(({ status }) => status)
  const loads = chromeFields.replace(/Accept: .*/, 'Accept: image/avif,image/webp,*/*;q=0.8')
  for (const sent of ['', 'Referer: https://evil.example/page\r\n', 'Sec-Fetch-Site: cross-site\r\n'])
    await edge.ask({ path: '/trap', fields: loads + sent })
  const form = `${chromeFields}Content-Type: application/x-www-form-urlencoded\r\nOrigin: https://evil.example\r\n`
  await edge.ask({ method: 'POST', fields: form, body: 'website=x' })
  assert.equal(await page(), 200)
  assert.equal(await page('/trap'), 403)
  assert.equal(await page(), 403)
})

test('row 25: whatever one does behind an address, the others are challenged at most, and get in by passing it', async t => {
  const spec = specOf([policyOf('trial', { risk: thresholds, challenge: 'suspicious' })], {
    bots: { ...specOf().bots, honeypots: ['/trap'], honeypotFields: ['website'] },
  })
  const edge = await start(t, spec, { routes })
  const form = `${chromeFields}Content-Type: application/x-www-form-urlencoded\r\n`
  await edge.ask({ method: 'POST', fields: form, body: 'website=x' })
  await edge.ask({ path: '/trap', fields: chromeFields })
  for (let i = 0; i < 400; i++) await edge.ask({ fields: chromeFields })
  const other = { fields: chromeFields }
  const asked = await edge.ask(other)
  assert.match(asked.body.toString(), /class="tenfold|altcha/i)
  const record = await edge.explained(asked.fields.get('x-request-id') ?? '')
  assert.deepEqual([record.risk, record.findings.at(-1)?.step], [75, 'challenge'])
  const cookie = await cleared(edge, { fields: chromeFields.replace(/Accept: .*\r\n/, '') })
  assert.equal((await edge.ask({ fields: `${chromeFields}Cookie: ${cookie}\r\n` })).status, 200)
})
