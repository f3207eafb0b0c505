import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../../kit/random.ts'
import type { StoredEntry, StoreSpec } from '../contract.ts'
import { MainStore } from '../main-store.ts'
import { createStoreMemory } from '../store-memory.ts'
import { bodyOf, fields, meta, put, spec, until } from '../testing/use.ts'
import { ThreadStore } from '../worker-store.ts'
import { segmentNumber } from './segment-name.ts'

interface Opened {
  readonly one: ThreadStore
  readonly main: MainStore
  readonly told: string[]
  readonly spec: StoreSpec
}

const open = new Set<MainStore>()

async function opened(directory: string, over: Partial<StoreSpec> = {}, bytes = 67_108_864): Promise<Opened> {
  const whole: StoreSpec = { ...spec, disk: { directory, bytes, objectBytesMax: bytes }, ...over }
  const memory = createStoreMemory(whole, 1)
  const told: string[] = []
  const main = new MainStore(memory, text => told.push(text))
  open.add(main)
  await main.ready
  return { one: new ThreadStore(memory, 0), main, told, spec: whole }
}

async function inFolder(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-disk-'))
  try {
    await use(directory)
  } finally {
    for (const main of open) await main.close()
    open.clear()
    rmSync(directory, { recursive: true, force: true })
  }
}

function load(store: ThreadStore, key: string): Promise<StoredEntry | null> {
  return new Promise(resolve => {
    const entry = store.get(key)
    if (entry !== null || !store.load(key, resolve)) resolve(entry)
  })
}

const keyOf = (i: number): string => `a.example /${i}`
const bodyFor = (i: number): string =>
  `${i} `.repeat(1 + ((i * 7_919) % 40_000)).slice(0, (i * 7_919) % 100_000)

/** Puts it and uses it once. */
function putUsed(store: ThreadStore, i: number): void {
  assert.ok(put(store, keyOf(i), bodyFor(i), [`tag ${i}`, 'common']))
  store.get(keyOf(i))?.release()
}

async function presentOf(store: ThreadStore, count: number): Promise<number> {
  let present = 0
  for (let i = 0; i < count; i++) {
    const entry = await load(store, keyOf(i))
    if (entry === null) continue
    assert.equal(entry.key, keyOf(i))
    assert.equal(entry.fields, fields)
    while (entry.bodyBytes > 0 && entry.text() === null && !entry.ended(entry.bodyBytes))
      if (!(await new Promise<boolean>(told => entry.whenMore(entry.bodyBytes - 1, told)))) break
    if (entry.ended(bodyFor(i).length)) {
      assert.equal(bodyOf(entry), bodyFor(i))
      present++
    }
    entry.release()
  }
  return present
}

const segmentsIn = (directory: string): string[] =>
  readdirSync(directory).filter(name => segmentNumber(name) > 0)

test('what memory evicts after a use comes back from the disk, what nobody used does not', () =>
  inFolder(async directory => {
    const { one, main } = await opened(directory, { memoryBytes: 2_097_152 })
    for (let i = 0; i < 100; i++) {
      putUsed(one, i)
      put(one, `a.example /unused/${i}`, 'x'.repeat(5_000))
      await until(
        () => Atomics.load(one.views.common.spillsIn, 0) === Atomics.load(one.views.common.spillsOut, 0),
        'spills stay',
      )
    }
    await until(() => main.counts.diskEntries > 50, 'hardly anything is written')
    const present = await presentOf(one, 100)
    assert.ok(present > 60, `${present} of 100 are there`)
    for (let i = 0; i < 50; i++)
      assert.equal(
        one.load(`a.example /unused/${i}`, () => {}),
        false,
      )
    await main.close()
  }))

test('a restart finds what was used, with its numbers moved to the new clock, and what was pushed', () =>
  inFolder(async directory => {
    const first = await opened(directory)
    for (let i = 0; i < 60; i++) putUsed(first.one, i)
    put(first.one, 'a.example /pushed', 'never asked for')
    first.one.keep('a.example /pushed')
    await first.main.close()
    const second = await opened(directory)
    assert.equal(second.main.counts.entries, 0)
    assert.equal(await presentOf(second.one, 60), 60)
    const pushed = await load(second.one, 'a.example /pushed')
    assert.equal(pushed?.text(), 'never asked for')
    assert.equal(pushed.meta.freshForUs, meta.freshForUs)
    assert.ok(Math.abs(pushed.meta.receivedAtUs - meta.receivedAtUs) < 60_000_000)
    assert.equal(await load(second.one, 'a.example /unknown'), null)
    await second.main.close()
  }))

test('what was purged, softly or not, stays so after a crash, as soon as the purge was acknowledged', () =>
  inFolder(async folder => {
    const directory = join(folder, 'live')
    const first = await opened(directory)
    for (let i = 0; i < 40; i++) putUsed(first.one, i)
    await first.main.close()
    const second = await opened(directory)
    await second.main.purge({ tags: ['tag 1'] })
    await Promise.all([
      second.main.purge({ targets: ['/2'] }),
      second.main.purge({ prefixes: ['a.example/3/'] }),
    ])
    await second.main.purge({ keys: [keyOf(4)] })
    await second.main.purge({ tags: ['tag 5'], soft: true })
    // As a process that is gone without a word leaves it.
    const left = join(folder, 'left')
    cpSync(directory, left, { recursive: true, filter: name => !name.endsWith('.sock') })
    await second.main.close()
    const third = await opened(left)
    for (const i of [1, 2, 3, 4]) assert.equal(await load(third.one, keyOf(i)), null, `${i}`)
    const soft = await load(third.one, keyOf(5))
    assert.equal(soft?.purgedSoftly, true)
    soft.release()
    assert.equal(await presentOf(third.one, 40), 36)
    // What comes after is not purged by what was before.
    putUsed(third.one, 1)
    await third.main.close()
    const fourth = await opened(left)
    assert.equal(await presentOf(fourth.one, 40), 37)
    await fourth.main.close()
  }))

test('bits that flip and files that end anywhere are never taken for a body', () =>
  inFolder(async directory => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`seed ${seed}`)
    const random = seededRandom(seed)
    const first = await opened(directory)
    for (let i = 0; i < 40; i++) putUsed(first.one, i)
    await first.main.close()
    const [name] = segmentsIn(directory)
    const path = join(directory, name as string)
    const whole = readFileSync(path)
    let failures = 0
    for (let round = 0; round < 8; round++) {
      const bytes = Buffer.from(whole)
      for (let flips = 0; flips < 3; flips++) {
        const at = random.below(bytes.length)
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
      }
      writeFileSync(path, round % 2 === 0 ? bytes : bytes.subarray(0, random.below(bytes.length)))
      const again = await opened(directory)
      // Each one that is found is compared with what was written.
      assert.ok((await presentOf(again.one, 40)) < 41)
      failures += again.main.counts.diskFailures
      await again.main.close()
      for (const other of segmentsIn(directory)) if (other !== name) rmSync(join(directory, other))
    }
    assert.ok(failures > 0, 'nothing that was damaged was noticed')
  }))

test('a damaged piece of a large body cuts it, is counted, and is not read again', () =>
  inFolder(async directory => {
    const first = await opened(directory)
    const body = 'large '.repeat(70_000)
    put(first.one, 'a.example /large', body)
    first.one.keep('a.example /large')
    await first.main.close()
    const path = join(directory, segmentsIn(directory)[0] as string)
    const bytes = readFileSync(path)
    bytes[bytes.length - 1_000] = (bytes[bytes.length - 1_000] as number) ^ 4
    writeFileSync(path, bytes)
    const second = await opened(directory)
    const entry = await load(second.one, 'a.example /large')
    if (entry !== null) {
      const ok = await new Promise<boolean>(told => entry.whenMore(body.length - 1, told))
      assert.equal(ok, false)
      entry.release()
    }
    await until(() => second.main.counts.diskFailures === 1, 'it is not counted')
    assert.equal(
      second.one.load('a.example /large', () => {}),
      false,
    )
    await second.main.close()
  }))

test('purges that can not be read any more cost all that is on the disk', () =>
  inFolder(async directory => {
    for (const damage of ['clocks', 'purges', 'no clocks'] as const) {
      const first = await opened(directory)
      for (let i = 0; i < 10; i++) putUsed(first.one, i)
      await first.main.purge({ tags: ['nothing'] })
      await first.main.purge({ tags: ['nothing'] })
      await first.main.close()
      const path = join(directory, damage === 'purges' ? 'purges' : 'clocks')
      if (damage === 'no clocks') rmSync(path)
      else {
        const bytes = readFileSync(path)
        bytes[10] = (bytes[10] as number) ^ 1
        writeFileSync(path, bytes)
      }
      const second = await opened(directory)
      assert.match(second.told.join(), /what was purged can't be read/, damage)
      assert.equal(await presentOf(second.one, 10), 0)
      await second.main.close()
    }
  }))

test('a full disk costs nothing but the disk tier, which says so', () =>
  inFolder(async directory => {
    const { one, main, told } = await opened(directory, { memoryBytes: 1_048_576 })
    symlinkSync('/dev/full', join(directory, 'segment-00000001'))
    for (let i = 0; i < 60; i++) putUsed(one, i)
    await until(() => told.length > 0, 'nobody is told')
    assert.match(told.join(), /the cache's disk fails \(ENOSPC\)/)
    assert.ok(main.counts.diskFailures > 0)
    putUsed(one, 61)
    assert.equal(one.get(keyOf(61))?.text() ?? 'large', bodyFor(61).length <= 16_384 ? bodyFor(61) : 'large')
    await main.close()
  }))

test('a purge that can not be written down drops the disk', () =>
  inFolder(async directory => {
    const first = await opened(directory)
    for (let i = 0; i < 10; i++) putUsed(first.one, i)
    await first.main.close()
    rmSync(join(directory, 'purges'))
    symlinkSync('/dev/full', join(directory, 'purges'))
    const second = await opened(directory)
    await second.main.purge({ tags: ['tag 1'] })
    assert.match(second.told.join(), /a purge can't be written down \(ENOSPC\)/)
    assert.equal(second.main.counts.diskBytes, 0)
    await second.main.close()
    rmSync(join(directory, 'purges'))
    const third = await opened(directory)
    assert.equal(await presentOf(third.one, 10), 0)
    await third.main.close()
  }))

test('a folder that can not be used leaves a store without a disk', () =>
  inFolder(async directory => {
    writeFileSync(join(directory, 'file'), '')
    const { one, main, told } = await opened(join(directory, 'file', 'cache'))
    assert.match(told.join(), /has no disk/)
    putUsed(one, 1)
    assert.ok(one.get(keyOf(1)) !== null)
    await main.purge({ tags: ['tag 1'] })
    assert.equal(one.get(keyOf(1)), null)
    await main.close()
  }))

test('the disk stays within its bound, drops its oldest, and keeps what is read again', () =>
  inFolder(async directory => {
    const bytes = 4_194_304
    const { one, main } = await opened(directory, { memoryBytes: 1_048_576 }, bytes)
    put(one, 'a.example /again', 'read again and again')
    one.keep('a.example /again')
    for (let i = 0; i < 300; i++) {
      putUsed(one, i)
      await until(
        () => Atomics.load(one.views.common.spillsIn, 0) === Atomics.load(one.views.common.spillsOut, 0),
        'spills stay',
      )
      if (i % 5 !== 0) continue
      await new Promise<void>(resolve => {
        one.remove(`a.example /nothing/${i}`)
        // Out of memory, not off the disk.
        one.entries.locked(() =>
          one.entries.dropKey('a.example /again', one.entries.hashOf('a.example /again')),
        )
        if (
          !one.load('a.example /again', entry => {
            entry?.release()
            resolve()
          })
        )
          resolve()
      })
    }
    const size = segmentsIn(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
    assert.ok(size <= bytes * 1.15, `${size} bytes`)
    assert.ok(Math.max(...segmentsIn(directory).map(segmentNumber)) > 8, 'hardly anything was written')
    assert.equal((await load(one, 'a.example /again'))?.text(), 'read again and again')
    await main.close()
  }))

test('a process that is killed leaves whole objects or none', () =>
  inFolder(async directory => {
    for (let round = 0; round < 4; round++) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('./testing/killed.ts', import.meta.url)), directory],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      let said = ''
      child.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString()
      })
      await until(() => said.includes('\n'), 'it does not begin')
      await new Promise(resolve => setTimeout(resolve, 50 + round * 70))
      child.kill('SIGKILL')
      await once(child, 'close')
      const purged = new Set(
        said
          .split('\n')
          .slice(0, -1)
          .map(line => Number(line.slice('purged '.length))),
      )
      const { one, main } = await opened(directory)
      let found = 0
      for (let i = 0; i < 4_000; i++) {
        const entry = await load(one, keyOf(i))
        if (entry === null) continue
        assert.ok(!purged.has(i), `${i} was purged, and that was acknowledged`)
        assert.equal(entry.text() ?? 'k'.repeat(entry.bodyBytes), 'k'.repeat((i * 131) % 30_000))
        found++
        entry.release()
      }
      await main.close()
      rmSync(directory, { recursive: true })
      assert.ok(found > 0, 'nothing is found')
    }
  }))

test('an edge that replaces another one gets the folder when that has closed; purges of the meantime count', () =>
  inFolder(async directory => {
    const first = await opened(directory)
    for (let i = 0; i < 30; i++) putUsed(first.one, i)
    for (let i = 0; i < 50; i++) await first.main.purge({ tags: ['nobody'] })
    putUsed(first.one, 30)
    const disk = { directory, bytes: 67_108_864, objectBytesMax: 67_108_864 }
    const memory = createStoreMemory({ ...spec, disk }, 1)
    const main = new MainStore(memory, text => assert.fail(text))
    const one = new ThreadStore(memory, 0)
    assert.equal(
      one.load(keyOf(1), () => {}),
      false,
    )
    await main.purge({ tags: ['tag 30'] })
    await main.purge({ keys: [keyOf(2)] })
    await first.main.close()
    await main.ready
    for (const i of [2, 30]) assert.equal(await load(one, keyOf(i)), null, `${i}`)
    assert.equal(await presentOf(one, 31), 29)
    await main.close()
    const last = await opened(directory)
    assert.equal(await presentOf(last.one, 31), 29)
    assert.deepEqual(
      readdirSync(directory).filter(name => name.startsWith('early')),
      [],
    )
    await last.main.close()
  }))

test('a store that is closed while another process has its folder leaves it alone', () =>
  inFolder(async directory => {
    const first = await opened(directory)
    const second = new MainStore(createStoreMemory(first.spec, 1), text => assert.fail(text))
    await second.purge({ tags: ['tag 1'] })
    await second.close()
    putUsed(first.one, 1)
    await first.main.close()
    const third = await opened(directory)
    assert.equal(await load(third.one, keyOf(1)), null, 'it was purged by the second')
    await third.main.close()
  }))

test('copies of a folder are of no use to another store', () =>
  inFolder(async directory => {
    const first = await opened(join(directory, 'one'))
    for (let i = 0; i < 5; i++) putUsed(first.one, i)
    await first.main.close()
    const second = await opened(join(directory, 'two'))
    await second.main.close()
    const [name] = segmentsIn(join(directory, 'one'))
    copyFileSync(join(directory, 'one', name as string), join(directory, 'two', name as string))
    const third = await opened(join(directory, 'two'))
    assert.equal(await presentOf(third.one, 5), 0)
    await third.main.close()
    truncateSync(join(directory, 'two', name as string), 0)
  }))
