import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../test/tools/redis-server.ts'
import type { CheckedRoom } from '../../file/checked-guard.ts'
import { systemClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import type { MainPartSurroundings } from '../part.ts'
import { MainQuotas } from '../quota/main.ts'
import { specOf } from '../testing/spec.ts'
import { roomFailures } from './failures.ts'
import { MainRooms } from './main.ts'
import { codeOfPerson, roomSecrets } from './secrets.ts'

const room: CheckedRoom = {
  name: 'sale',
  activeMax: 1,
  perMinute: 60,
  order: 'first-come',
  person: [],
  title: 'Sale',
  sessionMs: 60_000,
  graceMs: 60_000,
  grantMs: 1_000,
  revokeAfter: [],
  placesMax: 10,
}
const quota = { name: 'q', keys: [], idempotent: false, holdMs: 1_000 } as const

function surroundings(context: TestContext): MainPartSurroundings {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tenfold-main-rooms-'))
  context.after(() => rmSync(stateDirectory, { recursive: true, force: true }))
  return {
    ...{ clock: systemClock, random: seededRandom(1), stateDirectory, workers: 1, memory: {} },
    ...{ send: () => {}, tell: () => {}, audit: () => {} },
  }
}

const codeIs =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof Failure && error.code === code

test('a page that is not there, and one that is too long, are refused before workers get them', async context => {
  const around = surroundings(context)
  const rooms = new MainRooms(around)
  context.after(() => rooms.close())
  const page = join(around.stateDirectory, 'page.html')
  const spec = specOf([], { rooms: { sale: { ...room, page } } })
  await assert.rejects(rooms.take(spec), codeIs(roomFailures.page.code))
  writeFileSync(page, 'x'.repeat((1 << 20) + 1))
  await assert.rejects(rooms.take(spec), codeIs('ROOM_PAGE'))
  writeFileSync(page, 'x')
  await rooms.take(spec)
})

test('a journal that can not be used refuses the snapshot: ROOM_JOURNAL, QUOTA_JOURNAL', async context => {
  const around = surroundings(context)
  mkdirSync(join(around.stateDirectory, 'guard'))
  writeFileSync(join(around.stateDirectory, 'guard', 'rooms'), 'a file where a folder should be')
  writeFileSync(join(around.stateDirectory, 'guard', 'quotas'), 'a file where a folder should be')
  const rooms = new MainRooms(around).take(specOf([], { rooms: { sale: room } }))
  await assert.rejects(rooms, codeIs('ROOM_JOURNAL'))
  const quotas = new MainQuotas(around).take(specOf([], { quotas: { q: quota } }))
  await assert.rejects(quotas, codeIs('QUOTA_JOURNAL'))
})

test('a command about a room that is not in use is refused', async context => {
  const rooms = new MainRooms(surroundings(context))
  context.after(() => rooms.close())
  await rooms.take(specOf([], { rooms: { sale: room } }))
  const asked = rooms.ask({ kind: 'room-mode', room: 'nowhere', mode: 'open' })
  await assert.rejects(async () => asked, codeIs('ROOM_UNKNOWN'))
  assert.equal(rooms.ask({ kind: 'something else' }), undefined)
})

test('while Redis is away, figures and lotteries wait and nothing falls over', async context => {
  const rooms = new MainRooms(surroundings(context))
  context.after(() => rooms.close())
  const shared = {
    redis: 'redis://127.0.0.1:1',
    prefix: 't:',
    timeoutMs: 100,
    whenAway: 'local',
    edges: 2,
  } as const
  const drawn: CheckedRoom = { ...room, order: 'lottery', opensAt: 1 }
  await rooms.take(specOf([], { rooms: { sale: drawn }, shared }))
  assert.deepEqual(rooms.status(), { sale: null })
  await assert.rejects(rooms.ask({ kind: 'rooms' }) as Promise<unknown>, /away/)
  rooms.heard(0, { kind: 'info' })
  assert.deepEqual(rooms.status(), { sale: null })
})

test('an account that is banned loses its place where persons are accounts, and only there', async context => {
  const around = surroundings(context)
  const events: string[] = []
  const rooms = new MainRooms({ ...around, audit: ({ text }) => events.push(text) })
  context.after(() => rooms.close())
  const spec = specOf([], {
    rooms: {
      sale: { ...room, person: [{ by: 'account' }] },
      open: { ...room, name: 'open', person: [{ by: 'session' }] },
    },
  })
  await rooms.take(spec)
  const ask = (name: string) => {
    const { people } = roomSecrets(spec.secretKey, name)
    const code = codeOfPerson(people, ['ada'])
    const asked = {
      kind: 'enter',
      token: 0,
      id: 0,
      nonce: 0,
      code,
      draw: 1,
      binding: 1,
      direct: true,
    } as const
    rooms.heard(1, { kind: 'asks', first: 1, asks: [{ room: name, ask: { ...asked, forever: false } }] })
  }
  ask('sale')
  ask('open')
  const active = async () => {
    const all = (await rooms.ask({ kind: 'rooms' })) as { readonly name: string; readonly active: number }[]
    return Object.fromEntries(all.map(one => [one.name, one.active]))
  }
  await eventually('both are in', async () => JSON.stringify(await active()) === '{"sale":1,"open":1}')
  rooms.accountsBanned(['ada', 'somebody else'])
  await eventually('one is out', async () => JSON.stringify(await active()) === '{"sale":0,"open":1}')
  assert.deepEqual(events, ['sale: a banned account'])
})
