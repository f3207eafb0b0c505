// Backups by the command line of a whole system: taken, tried, restored into a database of another name, and that one then
// started by the file.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetched, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/database-service.mjs')

test('a backup is taken, tried, restored beside the running database, and started by the file', async t => {
  const shop = project(t)
  const describe = (databases: object): void =>
    shop.configure({
      name: 'shop',
      control: { listen: 0 },
      edge: { listen: { http: '127.0.0.1:0' }, workers: 1, routes: [{ path: '/*', to: 'api' }] },
      services: {
        api: {
          command: [process.execPath, serviceFile],
          health: { path: '/healthz' },
          ready: { timeout: '60s' },
        },
      },
      databases,
    })
  const asked = { backup: { to: 'backups', keep: 2, drill: false } }
  const slots = async (): Promise<string> =>
    (
      await shop.run(
        'db',
        'psql',
        'main',
        '--primary',
        '--command',
        'SELECT slot_name FROM pg_replication_slots',
      )
    ).out
  describe({ main: asked })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url
  for (let count = 0; count < 3; count++) assert.equal(await fetched(`${url}/add`), 'added')

  await until('the first base backup is there', async () =>
    /base-\d{8}T/.test((await shop.run('db', 'backups')).out),
  )
  const taken = await shop.run('db', 'backup')
  assert.equal(taken.code, 0, taken.error)
  assert.match(taken.out, /base-\d{8}T\d{6}-\d{3}Z is taken/)
  const tried = await shop.run('db', 'drill')
  assert.equal(tried.code, 0, tried.error)
  assert.match(tried.out, /was restored for a trial .* are sound/)
  const restored = await shop.run('db', 'restore', 'main', '--to', 'latest')
  assert.equal(restored.code, 0, restored.error)
  assert.match(restored.out, /restored from base-/)
  const early = await shop.run('db', 'restore', 'main', '--to', '2001-01-01T00:00:00Z', '--into', 'early')
  assert.notEqual(early.code, 0)
  assert.match(early.error, /can't be restored from a base backup.*DATABASE_RESTORE_TARGET/s)
  assert.equal(await fetched(`${url}/count`), '3', 'the running database went on')
  assert.match(await slots(), /tenfold_archive/)
  describe({ main: {} })
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  assert.doesNotMatch(
    await slots(),
    /tenfold_archive/,
    'nobody keeps the log for backups that are not asked for',
  )
  assert.equal((await shop.run('stop')).code, 0)

  describe({ 'main-restored': { database: 'app' } })
  const again = await shop.up('--no-watch')
  const restoredUrl = again.status.edge.listeners[0]?.url
  assert.equal(await fetched(`${restoredUrl}/count`), '3')
  assert.equal(await fetched(`${restoredUrl}/add`), 'added')
})
