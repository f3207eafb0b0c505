// Golden pairs in golden/*.json: a file's content and members in, the edge's snapshot out. With UPDATE_GOLDEN=1 the
// expected snapshots are written anew.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { MemberSpec } from '../edge/snapshot.ts'
import { checkSystem } from '../file/index.ts'
import { type CompileContext, compileEdge, type EdgeSwitches } from './compile-edge.ts'
import type { EdgeFiles } from './edge-files.ts'

interface Golden {
  readonly about: string
  readonly input: unknown
  readonly members: Readonly<Record<string, readonly MemberSpec[]>>
  readonly pages?: EdgeFiles['pages']
  readonly hookHashes?: EdgeFiles['hookHashes']
  readonly ownCertificates?: CompileContext['ownCertificates']
  readonly switches?: EdgeSwitches
  readonly snapshot?: unknown
}

const folder = join(import.meta.dirname, 'golden')
const names = readdirSync(folder).filter(name => name.endsWith('.json'))

test('there are golden pairs to compare with', () => {
  assert.ok(names.length >= 4)
})

for (const name of names) {
  const file = join(folder, name)
  const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden
  test(`compiles ${name}: ${golden.about}`, () => {
    const checked = checkSystem(golden.input)
    assert.ok(checked.ok, JSON.stringify(checked))
    const snapshot = compileEdge(checked.system, {
      version: 7,
      members: new Map(Object.entries(golden.members)),
      stickySecret: 'c2VjcmV0',
      identitySecret: 'aWRlbnRpdHk=',
      stateDirectory: '/state',
      baseDirectory: '/shop',
      files: { pages: golden.pages ?? {}, hookHashes: golden.hookHashes ?? {} },
      ownCertificates: golden.ownCertificates ?? [],
      switches: golden.switches ?? {},
      guard: null,
      rulings: [],
    })
    if (process.env.UPDATE_GOLDEN === '1') {
      writeFileSync(file, `${JSON.stringify({ ...golden, snapshot }, null, 2)}\n`)
      return
    }
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), golden.snapshot)
  })
}
