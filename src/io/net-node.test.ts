import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { createNodeNet, nodeNet } from './net-node.ts'
import { directWorks, doors } from './net-node-doors.ts'
import { netContract } from './testing/net.contract.ts'

setFlagsFromString('--expose-gc')
if (!globalThis.gc) globalThis.gc = (await import('node:vm')).runInNewContext('gc')

test('this Node has the doors of the direct way', () => {
  assert.equal(directWorks, true)
  assert.notEqual(doors?.lean, null)
})

for (const { name, run } of netContract) test(`Node, direct: ${name}`, () => run(nodeNet))

const lean = createNodeNet({ lean: true })
for (const { name, run } of netContract) test(`Node, lean: ${name}`, () => run(lean))

const plain = createNodeNet({ direct: false })
for (const { name, run } of netContract) test(`Node, plain: ${name}`, () => run(plain))

const probe = `
const { nodeNet } = await import(${JSON.stringify(new URL('./net-node.ts', import.meta.url).href)})
const { directWorks } = await import(${JSON.stringify(new URL('./net-node-doors.ts', import.meta.url).href)})
const { netContract } = await import(${JSON.stringify(new URL('./testing/net.contract.ts', import.meta.url).href)})
await netContract[0].run(nodeNet)
console.log(directWorks)`

function probed(...flags: string[]): { stdout: string; stderr: string } {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', probe], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { stdout: stdout.trim(), stderr }
}

test('flags about deprecations bring neither a warning nor an exception', () => {
  for (const flag of ['--pending-deprecation', '--throw-deprecation', '--trace-deprecation']) {
    assert.deepEqual(probed('--pending-deprecation', flag), { stdout: 'true', stderr: '' })
  }
})

test('where the doors are shut, the plain way is taken without a word', () => {
  const shut = 'data:text/javascript,process.binding = () => { throw new Error("shut") }'
  assert.deepEqual(probed('--import', shut), { stdout: 'false', stderr: '' })
  const other = 'data:text/javascript,process.binding = () => ({ TCP: class {}, WriteWrap: class {} })'
  assert.deepEqual(probed('--import', other), { stdout: 'false', stderr: '' })
})
