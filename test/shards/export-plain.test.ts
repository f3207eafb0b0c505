// An export as the system runs it, of a database without shards: nobody is held, and what goes wrong is said with its code.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Session } from '../../src/database/servers/session.ts'
import { Exports } from '../../src/system/exports.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

test('a database without shards is exported at one snapshot; what fails is refused, and may be tried again', async t => {
  const server = await startPostgres(t, { settings: { shared_buffers: '16MB' } })
  const { host, port } = server
  const operator = new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' }))
  t.after(() => operator.close())
  await operator.query('CREATE TABLE public.films (id serial, title text)', 5_000)
  await operator.query(
    "INSERT INTO public.films (title) SELECT 'film ' || n FROM generate_series(1, 5000) n",
    5_000,
  )
  const folder = mkdtempSync(join(tmpdir(), 'export-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const whole = databaseOf({ servers: [server] })
  let primary = whole.primary
  const exports = new Exports({
    map: () => null,
    routed: () => new Map([['', { ...whole, primary }]]),
    resharding: () => false,
    push: async () => assert.fail('routers need not know'),
    drained: async () => assert.fail('nobody is waited for'),
  })
  const run = (to: string) => exports.run('main', { to, format: 'csv' }, () => {})

  const first = run(join(folder, 'a'))
  await assert.rejects(run(join(folder, 'b')), { code: 'SYSTEM_EXPORT_REFUSED', message: /exported already/ })
  assert.match((await first).text, /^main as of \S+Z is in \S+: 5000 rows in 1 files, [\d.]+ KB$/)
  const manifest = JSON.parse(readFileSync(join(folder, 'a', 'manifest.json'), 'utf8'))
  assert.deepEqual([manifest.mapVersion, manifest.heldMs, manifest.tables[0].shard], [null, 0, null])
  assert.deepEqual(manifest.shards[0].sequences, { 'public.films_id_seq': '5000' })
  assert.ok(!existsSync(join(folder, 'b')))

  await assert.rejects(run(join(folder, 'a')), { code: 'SYSTEM_EXPORT_REFUSED', message: /is not empty/ })
  await assert.rejects(run(join(folder, 'a', 'manifest.json', 'x')), {
    code: 'SYSTEM_EXPORT_REFUSED',
    message: /ENOTDIR/,
  })
  await assert.rejects(run('here'), { code: 'SYSTEM_EXPORT_REFUSED', message: /no absolute path/ })
  primary = null
  await assert.rejects(run(join(folder, 'c')), { message: /'main' has no primary now/ })
})
