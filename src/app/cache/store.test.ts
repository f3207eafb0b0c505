import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import { type CacheEvent, cacheFailures, createCache, openStore, type Source, type Store } from './index.ts'
import { openJournal } from './journal.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-journal-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let journals = 0
const newJournal = (): string => join(folder, `journal-${++journals}`)
const code = (kind: { code: string }) => (error: unknown) =>
  error instanceof Failure && error.code === kind.code

/** A table with versions, which refuses what is older; it may be slow, away, and counts. */
class Table implements Source<string> {
  readonly rows = new Map<string, { value: string | null; version: number }>()
  readonly saves: string[] = []
  away = false
  loads = 0
  /** Holds saves up until it resolves. */
  gate: Promise<void> | null = null

  async load(key: string): Promise<string | null> {
    this.loads++
    return this.rows.get(key)?.value ?? null
  }

  async save(key: string, value: string | null, version: number): Promise<void> {
    await this.gate
    if (this.away) throw new Error('the table is away')
    this.saves.push(`${key}=${value}`)
    const known = this.rows.get(key)
    if (known !== undefined && version < known.version) return
    this.rows.set(key, { value, version })
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

for (const strategy of ['aside', 'write-through', 'write-around', 'refresh-ahead'] as const) {
  test(`${strategy}: a value is read through once, and a write is seen by the next read`, async () => {
    await using cache = createCache({ name: 'test' })
    const table = new Table()
    await using store = await openStore(cache, { name: 't', strategy, source: table })
    assert.equal(await store.get('a'), null)
    await store.put('a', 'one')
    const loads = table.loads
    assert.equal(await store.get('a'), 'one')
    assert.equal(await store.get('a'), 'one')
    assert.equal(table.loads - loads, strategy === 'write-through' ? 0 : 1)
    await store.remove('a')
    assert.equal(await store.get('a'), null)
  })

  test(`${strategy}: a write that the source refuses changes nothing that readers see`, async () => {
    await using cache = createCache({ name: 'test' })
    const table = new Table()
    await using store = await openStore(cache, { name: 't', strategy, source: table })
    await store.put('a', 'one')
    assert.equal(await store.get('a'), 'one')
    table.away = true
    await assert.rejects(store.put('a', 'two'), /the table is away/)
    assert.equal(await store.get('a'), 'one')
  })
}

test('read-through: reads, and refuses to write', async () => {
  await using cache = createCache({ name: 'test' })
  const table = new Table()
  table.rows.set('a', { value: 'one', version: 1 })
  await using store = await openStore(cache, { name: 't', strategy: 'read-through', source: table })
  assert.equal(await store.get('a'), 'one')
  await assert.rejects(store.put('a', 'two'), code(cacheFailures.readOnly))
})

test('write-behind: a write is seen at once, saved later, and writes of one key become one save', async () => {
  await using cache = createCache({ name: 'test' })
  const table = new Table()
  await using store = await openStore(cache, {
    name: 't',
    strategy: 'write-behind',
    source: table,
    behind: { delayMs: 60_000 },
  })
  for (const value of ['one', 'two', 'three']) {
    await store.put('a', value)
    assert.equal(await store.get('a'), value)
  }
  assert.deepEqual(table.saves, [])
  assert.equal(await store.flush(), 0)
  assert.deepEqual(table.saves, ['a=three'])
  assert.equal(await store.get('a'), 'three')
  assert.equal(table.loads, 0)
})

test('write-behind: what was written while its key was being saved is saved too', async () => {
  await using cache = createCache({ name: 'test' })
  const table = new Table()
  await using store = await openStore(cache, {
    name: 't',
    strategy: 'write-behind',
    source: table,
    behind: { delayMs: 0 },
  })
  const gate = Promise.withResolvers<void>()
  table.gate = gate.promise
  await store.put('a', 'one')
  await new Promise(resolve => setTimeout(resolve, 10))
  await store.put('a', 'two')
  gate.resolve()
  await until('both are saved', () => store.unsaved === 0)
  assert.deepEqual(table.saves, ['a=one', 'a=two'])
  assert.equal(await store.get('a'), 'two')
})

test('write-behind: a source that is away is tried again, and told of', async () => {
  await using cache = createCache({ name: 'test' })
  const table = new Table()
  const events: CacheEvent[] = []
  table.away = true
  await using store = await openStore(cache, {
    name: 't',
    strategy: 'write-behind',
    source: table,
    behind: { delayMs: 0 },
    onEvent: event => events.push(event),
  })
  await store.put('a', 'one')
  await until('a save failed', () => events.length > 0)
  assert.deepEqual(events[0]!.kind, 'save-failed')
  assert.equal(await store.get('a'), 'one')
  table.away = false
  await until('it is saved', () => store.unsaved === 0)
  assert.equal(table.rows.get('a')!.value, 'one')
})

test('write-behind: when too much is unsaved, writes wait, and then fail with a failure that says so', async () => {
  await using cache = createCache({ name: 'test' })
  const table = new Table()
  const store = await openStore(cache, {
    name: 't',
    strategy: 'write-behind',
    source: table,
    behind: { delayMs: 60_000, dirtyMax: 2, waitMs: 20 },
  })
  await store.put('a', '1')
  await store.put('b', '1')
  await assert.rejects(store.put('c', '1'), code(cacheFailures.behindFull))
  await store.put('a', '2')
  assert.equal(await store.close(), 0)
  assert.equal(table.rows.get('a')!.value, '2')
  await assert.rejects(store.put('a', '3'), code(cacheFailures.closed))
})

test('write-behind: what was not saved is saved by the next life, from the journal', async () => {
  const journal = newJournal()
  const table = new Table()
  table.away = true
  const open = async (): Promise<[Store<string>, () => Promise<void>]> => {
    const cache = createCache({ name: 'test' })
    const store = await openStore(cache, {
      name: 't',
      strategy: 'write-behind',
      source: table,
      behind: { delayMs: 0, journal },
    })
    return [store, () => cache.close()]
  }
  const [first, closeFirst] = await open()
  await first.put('a', 'one')
  await first.put('b', 'gone')
  await first.remove('b')
  assert.equal(await first.close(1), 2)
  await closeFirst()
  table.away = false
  const [second, closeSecond] = await open()
  assert.equal(await second.get('a'), 'one')
  await until('all is saved', () => second.unsaved === 0)
  assert.equal(table.rows.get('a')!.value, 'one')
  assert.equal(table.rows.get('b')!.value, null)
  await second.close()
  await closeSecond()
  assert.equal(readFileSync(journal, 'utf8').split('\n').filter(Boolean).length >= 2, true)
  const third = await openJournal(journal)
  assert.deepEqual(third.unsaved, [])
  await third.close()
})

test('write-behind: nothing that was acknowledged is lost by kill -9, however often', async t => {
  const seed = Date.now() % 2 ** 31
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const journal = newJournal()
  for (let round = 0; round < 5; round++) {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'fixtures', 'behind-child.ts'), journal],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const acknowledged = await killedAfter(child, 5 + random.below(40))
    const reopened = await openJournal(journal)
    const values = new Map(
      reopened.unsaved.map(({ key, value }) => [key, Number(Buffer.from(value!, 'base64').toString())]),
    )
    await reopened.close()
    assert.equal(reopened.damaged, 0)
    // Written in rounds of three keys of seven: the last full round of each key is known.
    for (let n = acknowledged; n > Math.max(0, acknowledged - 7); n--)
      for (const key of [0, 1, 2].map(place => `key${(n + place) % 7}`))
        assert.ok((values.get(key) ?? -1) >= n, `${key} holds ${values.get(key)}, ${n} was acknowledged`)
    rmSync(journal)
  }
})

/** How many rounds the child had acknowledged when it was killed, which is some time after `least`. */
async function killedAfter(child: ChildProcess, least: number): Promise<number> {
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const exit = once(child, 'close')
  const count = (): number => Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1))
  try {
    await until(`${least} writes are acknowledged`, () => count() >= least)
  } finally {
    child.kill('SIGKILL')
    await exit
  }
  return count()
}

test('a journal with a torn end and damage in its middle gives the rest, and says how much is damaged', async () => {
  const path = newJournal()
  const first = await openJournal(path)
  for (const key of ['a', 'b', 'c']) await first.append({ key, version: 1, value: key })
  await first.close()
  const lines = readFileSync(path, 'utf8').split('\n')
  lines[1] = lines[1]!.replace('"b"', '"x"')
  writeFileSync(path, lines.join('\n'))
  appendFileSync(path, '0123abcd [5,"d","never ackn')
  const second = await openJournal(path)
  assert.deepEqual(
    second.unsaved.map(({ key }) => key),
    ['a', 'c'],
  )
  assert.equal(second.damaged, 1)
  await second.close()
})

test('a journal stays small while writes come and go', async () => {
  const path = newJournal()
  const journal = await openJournal(path)
  const value = 'x'.repeat(10_000)
  for (let version = 1; version <= 400; version++) {
    await journal.append({ key: 'a', version, value })
    if (version % 2 === 0) journal.saved('a', version)
  }
  await journal.append({ key: 'b', version: 401, value: 'last' })
  await journal.close()
  assert.ok(readFileSync(path).length < 2_500_000)
  const again = await openJournal(path)
  assert.deepEqual(again.unsaved, [{ key: 'b', version: 401, value: 'last' }])
  await again.close()
})

test('a journal belongs to one living process, and one that can not be written accepts nothing', async () => {
  const path = newJournal()
  const journal = await openJournal(path)
  await assert.rejects(openJournal(path), code(cacheFailures.journalHeld))
  rmSync(folder, { recursive: true })
  const refused = (async () => {
    // The open file may still take some; a rewrite needs its folder.
    for (let version = 1; version < 1_000; version++)
      await journal.append({ key: 'a', version, value: 'x'.repeat(10_000) })
  })()
  await assert.rejects(refused, code(cacheFailures.journalWrite))
  await journal.close()
})
