// The gateway as an operator has it: canaries that take themselves out, maintenance and the import of routes, by the real
// command line on a running system.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { CanaryView } from '../../src/system/control/views.ts'
import { settled, site, until } from '../tools/system-harness.ts'

/** Writes the ledger as the others do, and then fails. */
const brokenService = `import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
const server = createServer((request, response) => {
  const id = new URL(request.url, 'http://x').searchParams.get('id')
  if (id !== null) appendFileSync(process.env.LEDGER, id + ' broken ' + process.pid + '\\n')
  response.statusCode = request.url === '/healthz' ? 200 : 500
  response.end()
}).listen(process.env.PORT, '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit(0)).closeIdleConnections())
`

test('a canary that fails is taken out under load, shown with its reason, and stays out until it is resumed, whoever dies', async t => {
  const shop = site(t)
  shop.write('broken.mjs', brokenService)
  const canary = { to: 'next', share: '30%', rollback: { requestsMin: 20, errors: '5%' } }
  shop.describe({
    services: {
      web: shop.service(),
      next: shop.service({ command: [process.execPath, 'broken.mjs'], instances: { min: 1, max: 1 } }),
    },
    edge: { trustedProxies: ['127.0.0.0/8'], routes: [{ path: '/*', to: 'web', canary }] },
  })
  const { url } = await shop.begin()
  await settled(shop, 1, 'next')
  const outcomes = new Map<string, number>()
  let asked = 0
  const ask = async (): Promise<number> => {
    const id = `one-${asked++}`
    const response = await fetch(`${url}/work?id=${id}`, {
      headers: { 'x-forwarded-for': `10.3.${asked >> 8}.${asked & 255}` },
    })
    await response.arrayBuffer()
    outcomes.set(id, response.status)
    return response.status
  }
  const view = async (): Promise<CanaryView> =>
    (JSON.parse((await shop.run('canary', '--json')).out) as { canaries: CanaryView[] })
      .canaries[0] as CanaryView
  await until('the canary to be taken out', async () => {
    for (let i = 0; i < 50; i++) await ask()
    return (await shop.status()).edge.canaries[0]?.state === 'taken-out'
  })
  const out = await view()
  assert.deepEqual([out.route, out.upstream, out.share], ['/*', 'next', 0.3])
  assert.match(out.reason, /^taken out: errors 100 % against 0 % of \d+ requests$/)
  assert.match((await shop.run('canary')).out, /taken-out.*taken out: errors 100 %/)
  const said = (await shop.status()).decisions.filter(event => /canary next taken out/.test(event.text))
  assert.deepEqual(
    said.map(event => event.subject),
    ['/*'],
  )
  for (let i = 0; i < 50; i++) assert.equal(await ask(), 200)

  const executions = shop.executions()
  for (const [id, status] of outcomes)
    assert.equal(executions.get(id), 1, `${id} (${status}) was executed once`)

  // The edge dies: the next one leaves it out.
  const { pid } = (await shop.status()).edge
  process.kill(pid as number, 'SIGKILL')
  await until('another edge', async () => {
    const { edge } = await shop.status()
    return edge.pid !== pid && edge.state === 'running' && edge.canaries[0]?.state === 'taken-out'
  })
  for (let i = 0; i < 50; i++) assert.equal(await ask(), 200)

  const resumed = await shop.run('canary', 'resume', '/*')
  assert.match(resumed.out, /the canary next of \/\* gets 30 % of the clients again/)
  const again: number[] = []
  // Too few of them for it to be taken out again.
  for (let i = 0; i < 40; i++) again.push(await ask())
  assert.ok(again.includes(500), 'it gets requests again')
  assert.match((await shop.run('canary', 'stop', '/*')).out, /gets nothing: stopped by an operator/)
  for (let i = 0; i < 50; i++) assert.equal(await ask(), 200)
  const unknown = await shop.run('canary', 'stop', '/none')
  assert.match(unknown.error, /EDGE_CANARY_UNKNOWN/)
  assert.match(unknown.error, /There is no route '\/none'\. Routes with a canary: '\/\*'/)
  const missing = await shop.run('canary', 'stop')
  assert.equal(missing.code, 2)
  assert.match(missing.error, /CLI_ARGUMENT_MISSING/)
})

test('a maintenance is switched on and off by command, lasts over the death of the supervisor, and lets some through', async t => {
  const shop = site(t)
  shop.write('down.html', '<h1>Down {status}</h1>')
  shop.describe({ services: { web: shop.service() }, edge: { trustedProxies: ['127.0.0.0/8'] } })
  const up = await shop.begin()
  const { url } = up
  const look = async (client: string): Promise<[number, string]> => {
    const response = await fetch(url, { headers: { 'x-forwarded-for': client, connection: 'close' } })
    return [response.status, (await response.text()).slice(0, 40)]
  }
  const on = ['maintenance', 'on', '--page', join(shop.directory, 'down.html'), '--retry-after', '10m']
  const ran = await shop.run(...on, '--allow', '10.0.0.0/8,::1')
  assert.equal(ran.code, 0, ran.error)
  assert.deepEqual(await look('192.0.2.1'), [503, '<h1>Down 503</h1>'])
  assert.equal(
    (await fetch(url, { headers: { 'x-forwarded-for': '192.0.2.1' } })).headers.get('retry-after'),
    '600',
  )
  assert.equal((await look('10.1.1.1'))[0], 200)
  assert.match((await shop.run('status')).out, /maintenance {2}since .* but 10\.0\.0\.0\/8, ::1 gets a page/)

  up.child.kill('SIGKILL')
  await up.exited
  assert.deepEqual(await look('192.0.2.1'), [503, '<h1>Down 503</h1>'], 'the edge serves on by what it has')
  const again = await shop.begin()
  assert.deepEqual(again.status.maintenance?.allow, ['10.0.0.0/8', '::1'])
  assert.deepEqual(await look('192.0.2.1'), [503, '<h1>Down 503</h1>'])

  assert.equal((await shop.run('maintenance', 'off')).code, 0)
  assert.equal((await look('192.0.2.1'))[0], 200)
  assert.equal((await shop.status()).maintenance, null)

  for (const [args, sentence] of [
    [['--page', 'none.html'], /--page: 'none\.html' cannot be read \(ENOENT\)/],
    [['--page', 'page.pdf'], /ends in none of/],
    [['--retry-after', 'soon'], /--retry-after: 'soon' is no duration/],
    [['--allow', '10.0.0.0/8, everybody'], /--allow: 'everybody' is no address/],
  ] as const) {
    const refused = await shop.run('maintenance', 'on', ...args)
    assert.equal(refused.code, 2)
    assert.match(refused.error, sentence)
    assert.match(refused.error, /CLI_OPTION_INVALID/)
  }
  assert.equal((await look('192.0.2.1'))[0], 200, 'nothing of it was switched on')

  // A stand-down of an edge that nobody asks how it is: said, not just done.
  assert.match((await shop.run('standdown')).out, /nobody can hear of it: the file has no edge\.health/)
  assert.equal((await shop.run('standup')).code, 0)
})

test('routes that are imported from OpenAPI stand in a file that passes the check', async t => {
  const shop = site(t)
  const description = join(import.meta.dirname, '../../src/cli/fixtures/openapi/petstore.yaml')
  const printed = await shop.run('routes', 'import', description, '--service', 'web', '--prefix', '/api')
  assert.equal(printed.code, 0, printed.error)
  assert.match(printed.out, /^\/\/ Petstore 1\.2\.0.*\nroutes: \[\n/)
  assert.match(
    printed.error,
    /petstore\.yaml:\d+: TRACE is refused by the edge/,
    'warnings are on standard error',
  )
  const json = await shop.run(
    'routes',
    'import',
    description,
    '--json',
    '--service',
    'web',
    '--prefix',
    '/api',
  )
  const { routes } = JSON.parse(json.out) as { routes: { path: string }[] }
  const module = join(shop.directory, 'pets.mjs')
  const written = await shop.run(
    'routes',
    'import',
    description,
    '--service',
    'web',
    '--prefix',
    '/api',
    '--write',
    module,
  )
  assert.match(written.out, /Wrote .*pets\.mjs: 5 routes/)
  assert.deepEqual(((await import(pathToFileURL(module).href)) as { routes: unknown }).routes, routes)
  assert.equal(
    (
      await shop.run(
        'routes',
        'import',
        description,
        '--service',
        'web',
        '--prefix',
        '/api',
        '--write',
        module,
      )
    ).code,
    0,
    'once more',
  )
  shop.write('mine.ts', 'export const mine = 1\n')
  const mine = await shop.run('routes', 'import', description, '--write', join(shop.directory, 'mine.ts'))
  assert.match(mine.error, /mine\.ts' is already there/)
  assert.equal(readFileSync(join(shop.directory, 'mine.ts'), 'utf8'), 'export const mine = 1\n')
  shop.write(
    'tenfold.config.mjs',
    `import { routes } from './pets.mjs'\nexport default { name: 'shop', edge: { listen: { http: '127.0.0.1:0' }, routes }, services: { web: { command: 'node web.mjs' } } }\n`,
  )
  const checked = await shop.run('check')
  assert.equal(checked.code, 0, checked.out + checked.error)

  const bad = await shop.run('routes', 'import', join(shop.directory, 'none.yaml'))
  assert.equal(bad.code, 2)
  assert.match(bad.error, /'.*none\.yaml' cannot be read/)
  assert.match(bad.error, /CLI_DESCRIPTION_UNREADABLE/)
  shop.write('swagger.yaml', 'swagger: "2.0"\n')
  assert.match(
    (await shop.run('routes', 'import', join(shop.directory, 'swagger.yaml'))).error,
    /CLI_DESCRIPTION_INVALID/,
  )
  assert.ok(existsSync(module) && readFileSync(module, 'utf8').includes('do not edit'))
})
