// A system file with a guard, as an operator has it: the real command line, a real edge, services that are told of it, a
// reload that changes it, an edge that dies. What each part does is tested beside this file.

import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Project, project, type Up, until } from '../tools/project.ts'

/** Says what it was told of the guard, and which fields a request came with. */
const service = `import { createServer } from 'node:http'
const { PORT, TENFOLD_GUARD_KEY = '', TENFOLD_GUARD_URL = '', GUARD_SECRET = '' } = process.env
createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok')
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ key: TENFOLD_GUARD_KEY, url: TENFOLD_GUARD_URL, secret: GUARD_SECRET, nonce: request.headers['tenfold-nonce'] ?? '' }))
}).listen(Number(PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
`

interface Told {
  readonly key: string
  readonly url: string
  readonly secret: string
  readonly nonce: string
}

interface Shop extends Project {
  describe(guard: object | undefined, routes: readonly object[]): void
  begin(): Promise<Up & { readonly url: string }>
}

function shopOf(t: Parameters<typeof project>[0]): Shop {
  const base = project(t)
  base.write('api.mjs', service)
  return {
    ...base,
    describe: (guard, routes) =>
      base.configure({
        name: 'shop',
        control: { listen: 0 },
        edge: { listen: { http: '127.0.0.1:0' }, workers: 2, trustedProxies: ['127.0.0.0/8'], routes },
        services: { api: { command: [process.execPath, 'api.mjs'], health: { path: '/healthz' } } },
        ...(guard === undefined ? {} : { guard }),
      }),
    begin: async () => {
      const up = await base.up('--no-watch')
      return { ...up, url: up.status.edge.listeners[0]?.url ?? '' }
    },
  }
}

const secretText = 'a-secret-of-more-than-thirty-two-characters'

const get = (url: string, client = '192.0.2.1'): Promise<Response> =>
  fetch(url, { headers: { 'x-forwarded-for': client } })

async function statusOf(url: string, client?: string): Promise<number> {
  const response = await get(url, client)
  await response.arrayBuffer()
  return response.status
}

/** Everything below the folder that is text enough to leak. */
function textsBelow(folder: string): readonly (readonly [string, string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(file => [file, readFileSync(file, 'utf8')] as const)
}

test('routes have the policies that they name, others have none; services are told of the guard and never of its secret', async t => {
  const shop = shopOf(t)
  shop.write('secrets.env', `GUARD_SECRET=${secretText}\n`)
  chmodSync(join(shop.directory, 'secrets.env'), 0o600)
  shop.describe(
    {
      secret: { secret: 'GUARD_SECRET' },
      ban: ['198.51.100.0/24'],
      policies: { strict: { headers: 'strict' } },
    },
    [
      { path: '/guarded/*', to: 'api', guard: 'strict' },
      { path: '/*', to: 'api' },
    ],
  )
  const { url } = await shop.begin()

  const guarded = await get(`${url}/guarded/page`)
  const told = (await guarded.json()) as Told
  const policy = guarded.headers.get('content-security-policy') ?? ''
  assert.ok(told.nonce.length >= 16)
  assert.ok(policy.includes(`'nonce-${told.nonce}'`), policy)
  assert.equal(guarded.headers.get('x-frame-options'), 'DENY')

  const open = await get(`${url}/open`)
  assert.equal(open.headers.get('content-security-policy'), null)
  const said = (await open.json()) as Told
  assert.equal(said.nonce, '')
  assert.equal(said.secret, '', 'the secret is not for services')
  assert.ok(said.key.length >= 32)
  assert.notEqual(said.key, secretText)

  assert.equal(await statusOf(`${url}/guarded/page`, '198.51.100.7'), 403)

  const status = await shop.run('status', '--json')
  const key = said.key
  for (const secret of [secretText, key, Buffer.from(secretText).toString('base64')]) {
    assert.ok(!status.out.includes(secret), 'status shows no secret')
    for (const [file, text] of textsBelow(join(shop.directory, '.tenfold', 'logs')))
      assert.ok(!text.includes(secret), `${file} holds a secret`)
  }
})

test('without a secret of its own a system signs with a key that stays; the guard is back after its edge was killed', async t => {
  const shop = shopOf(t)
  shop.describe({ ban: ['198.51.100.0/24'], policies: { plain: {} } }, [
    { path: '/*', to: 'api', guard: 'plain' },
  ])
  const up = await shop.begin()
  const keyFile = join(shop.directory, '.tenfold', 'guard.key')
  assert.ok(existsSync(keyFile))
  assert.equal(statSync(keyFile).mode & 0o077, 0)
  const before = ((await (await get(up.url)).json()) as Told).key
  assert.equal(await statusOf(up.url, '198.51.100.7'), 403)

  const { pid } = (await shop.status()).edge
  process.kill(pid as number, 'SIGKILL')
  await until('another edge that refuses as before', async () => {
    const { edge } = await shop.status()
    if (edge.pid === pid || edge.state !== 'running') return false
    return (await statusOf(edge.listeners[0]?.url ?? '', '198.51.100.7').catch(() => 0)) === 403
  })
  const { edge } = await shop.status()
  assert.equal(((await (await get(edge.listeners[0]?.url ?? '')).json()) as Told).key, before)
})

test('a reload changes the guard of a running system, says what becomes of what was signed, and loses nothing', async t => {
  const shop = shopOf(t)
  const routes = [{ path: '/*', to: 'api', guard: 'plain' }]
  shop.describe({ policies: { plain: {} } }, routes)
  const { url } = await shop.begin()
  assert.equal(await statusOf(url, '198.51.100.7'), 200)

  let running = true
  t.after(() => {
    running = false
  })
  const seen = new Set<number | string>()
  const asking = (async () => {
    while (running) seen.add(await statusOf(`${url}/load`, '203.0.113.1').catch(cause => String(cause)))
  })()
  shop.describe({ ban: ['198.51.100.0/24'], policies: { plain: { headers: 'basic' } } }, routes)
  const differs = await shop.run('reload', '--dry-run')
  assert.match(differs.out, /guard\.ban\b.*live/)
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  await until('the ban holds', async () => (await statusOf(url, '198.51.100.7')) === 403)
  assert.equal((await get(url)).headers.get('x-frame-options'), 'SAMEORIGIN')

  // Gone again, and with it all that was asked.
  shop.describe(undefined, [{ path: '/*', to: 'api' }])
  assert.equal((await shop.run('reload')).code, 0)
  await until('nobody is banned', async () => (await statusOf(url, '198.51.100.7')) === 200)
  assert.equal((await get(url)).headers.get('x-frame-options'), null)
  assert.match((await shop.run('guard')).error, /SYSTEM_GUARD_UNASKED/)
  running = false
  await asking
  assert.deepEqual([...seen], [200])
})

test('a guard that cannot be is refused before anything is touched, with what to write instead', async t => {
  const shop = shopOf(t)
  shop.describe({ policies: { plain: {} } }, [{ path: '/*', to: 'api', guard: 'plain' }])
  assert.match((await shop.run('guard', 'verify')).error, /GUARD_AUDIT_MISSING/)
  const { url } = await shop.begin()
  const refused = async (guard: object, routes: readonly object[], expected: RegExp): Promise<void> => {
    shop.describe(guard, routes)
    for (const command of ['check', 'reload']) {
      const ran = await shop.run(command)
      assert.notEqual(ran.code, 0, command)
      assert.match(ran.out + ran.error, expected, command)
    }
    assert.equal(await statusOf(url), 200)
  }
  await refused(
    { policies: { plain: {} } },
    [{ path: '/*', to: 'api', guard: 'plian' }],
    /Did you mean 'plain'\?/,
  )
  await refused(
    { policies: { plain: { limit: { rate: '5/min', by: 'account' } } } },
    [{ path: '/*', to: 'api', guard: 'plain' }],
    /guard\.identity does not say where it is found/,
  )
  await refused(
    { policies: { plain: { waf: { rules: ['rules-that-are-not-there'] } } } },
    [{ path: '/*', to: 'api', guard: 'plain' }],
    /guard\.policies\.plain\.waf\.rules.*rules-that-are-not-there/,
  )
})

test('what a file asks is asked: rates, origins, bodies; each refusal is explained by its id', async t => {
  const shop = shopOf(t)
  shop.describe(
    {
      policies: {
        few: { limit: '3/h' },
        own: { sameSite: true },
        strict: { waf: 'block' },
        looking: { limit: '1/h', sameSite: true, waf: 'block', detectOnly: true },
      },
    },
    [
      { path: '/few/*', to: 'api', guard: 'few' },
      { path: '/own/*', to: 'api', guard: 'own' },
      { path: '/strict/*', to: 'api', guard: 'strict' },
      { path: '/looking/*', to: 'api', guard: 'looking' },
      { path: '/*', to: 'api' },
    ],
  )
  const { url } = await shop.begin()

  const few = []
  for (let count = 0; count < 5; count++) few.push(await statusOf(`${url}/few/${count}`, '192.0.2.9'))
  assert.deepEqual(few, [200, 200, 200, 429, 429])
  assert.equal(await statusOf(`${url}/few/x`, '192.0.2.10'), 200, 'another address counts for itself')

  const post = (path: string, headers: Record<string, string>, body: string): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'POST', headers, body })
  const foreign = { origin: 'https://evil.example' }
  const crossed = await post('/own/order', foreign, 'a=1')
  assert.equal(crossed.status, 403)
  assert.equal((await post('/own/order', { origin: url }, 'a=1')).status, 200)

  const json = { 'content-type': 'application/json' }
  const twice = await post('/strict/order', json, '{"seats":1,"seats":100}')
  assert.equal(twice.status, 400)
  assert.equal((await post('/strict/order', json, '{"seats":1}')).status, 200)

  // Everything that it would refuse passes.
  for (let count = 0; count < 3; count++)
    assert.equal(
      (await post('/looking/order', { ...json, ...foreign }, '{"seats":1,"seats":100}')).status,
      200,
    )

  assert.match((await shop.run('guard', 'explain', 'nobody-had-this')).error, /GUARD_REQUEST_UNKNOWN/)
  const id = crossed.headers.get('x-request-id') ?? ''
  await until('the refusal is explained', async () => (await shop.run('guard', 'explain', id)).code === 0)
  const explained = await shop.run('guard', 'explain', id)
  assert.match(explained.out, /sameSite/)
  assert.match(explained.out, /Origin names another host/)
  const counted = JSON.parse((await shop.run('guard', '--json')).out) as object
  assert.match(JSON.stringify(counted), /looking/)
})
