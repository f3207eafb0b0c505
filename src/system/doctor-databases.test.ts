import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { type CheckedSystem, checkSystem } from '../file/index.ts'
import { databaseFindings, postgresPrograms, serverMemory } from './doctor-databases.ts'

function system(databases: object): CheckedSystem {
  const result = checkSystem({ name: 'shop', services: { api: { command: 'x' } }, databases })
  assert.ok(result.ok)
  return result.system
}

test('a system without databases is asked for nothing', async () => {
  assert.deepEqual(await databaseFindings(system({}), false, 1), [])
})

test('programs that are missing fail with what to do', () => {
  assert.equal(postgresPrograms(null).level, 'fail')
  assert.match(postgresPrograms('/nowhere').remedy, /npm install/)
})

test('memory is compared with what servers and their connections can need', () => {
  const three = system({ main: { replicas: 2, pool: { size: 100 } } })
  assert.equal(serverMemory(three, 512 * 1024 ** 2).level, 'warn')
  assert.equal(serverMemory(three, 2 * 1024 ** 3).level, 'ok')
})

test('a taken port of the router fails, unless the system itself runs', async t => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const listening = system({ main: { listen: port } })
  const levels = async (running: boolean): Promise<(string | undefined)[]> =>
    (await databaseFindings(listening, running, 8 * 1024 ** 3))
      .filter(one => one.check === 'port of main')
      .map(one => one.level)
  assert.deepEqual(await levels(false), ['fail'])
  assert.deepEqual(await levels(true), [])
})
