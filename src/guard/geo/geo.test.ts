import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hostClock } from '../../io/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import type { GuardSurroundings } from '../part.ts'
import type { SourceHooks } from '../sources.ts'
import { specOf } from '../testing/spec.ts'
import { GeoFile } from './geo-file.ts'
import { createMainPart, createPart } from './index.ts'
import { mmdbOf } from './testing/mmdb-writer.ts'

const countries = mmdbOf({
  '192.0.2.0/24': { country: { iso_code: 'CH' } },
  '198.51.100.0/25': { registered_country: { iso_code: 'NO' } },
  '2001:db8::/32': { country: { iso_code: 'JP' } },
})
const networks = mmdbOf({ '192.0.2.0/25': { autonomous_system_number: 64_496 } })

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tenfold-geo-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function surroundings(told: string[] = []): GuardSurroundings & { readonly hooks: SourceHooks } {
  return {
    index: 0,
    clock: hostClock,
    random: seededRandom(1),
    memory: {},
    hooks: { country: null, asn: null },
    send: () => {},
    tell: (_subject, text) => told.push(text),
    audit: () => {},
  }
}

test('sources learn countries and networks from the files of the operator', async t => {
  const place = folder(t)
  const countryFile = join(place, 'country.mmdb')
  const asnFile = join(place, 'asn.mmdb')
  writeFileSync(countryFile, countries)
  writeFileSync(asnFile, networks)
  const around = surroundings()
  const part = createPart(around)
  t.after(() => part.close?.())
  await part.prepare?.(specOf([], { geo: { countryFile, asnFile } }))
  const { country, asn } = around.hooks
  assert.deepEqual(
    ['192.0.2.200', '198.51.100.3', '2001:db8::1', '203.0.113.1', 'nonsense'].map(one => country?.(one)),
    ['CH', 'NO', 'JP', undefined, undefined],
  )
  assert.deepEqual(
    ['192.0.2.1', '192.0.2.200'].map(one => asn?.(one)),
    ['64496', undefined],
  )
  await part.prepare?.(specOf())
  assert.deepEqual(around.hooks, { country: null, asn: null })
})

test('a changed file is used, an unusable one is told and the one before stays', async t => {
  const path = join(folder(t), 'country.mmdb')
  const file = new GeoFile(path)
  writeFileSync(path, countries)
  assert.equal(await file.refresh(), true)
  assert.equal(await file.refresh(), false)
  writeFileSync(path, mmdbOf({ '192.0.2.0/24': { country: { iso_code: 'AT' } } }))
  utimesSync(path, 1, 1)
  assert.equal(await file.refresh(), true)
  assert.equal(file.find('192.0.2.1')?.country?.iso_code, 'AT')
  writeFileSync(path, 'half of a file')
  await assert.rejects(file.refresh(), (error: Failure) => error.code === 'GEO_FILE_UNUSABLE')
  assert.equal(file.find('192.0.2.1')?.country?.iso_code, 'AT')
})

test('a snapshot that names a file that is not there is refused', async () => {
  const spec = specOf([], { geo: { asnFile: '/nowhere/asn.mmdb' } })
  await assert.rejects(createMainPart().take?.(spec) as Promise<void>, Failure)
})
