import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { initScript } from './first-process.ts'

/** The program under the shell that stands for an init; `said` resolves with what it printed first. */
function underInit(program: string): { child: ReturnType<typeof spawn>; said: Promise<string> } {
  const child = spawn('/bin/sh', ['-c', initScript, 'tenfold', process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = once(child.stdout as NodeJS.ReadableStream, 'data').then(([chunk]) => String(chunk))
  return { child, said }
}

test('the exit code of the program is that of the process', async () => {
  const { child, said } = underInit("console.log('here'); process.exitCode = 7")
  await said
  assert.deepEqual(await once(child, 'exit'), [7, null])
})

test('TERM, INT and HUP reach the program, which ends in its own time', async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const program = `
      process.on('${signal}', () => setTimeout(() => process.exit(3), 50))
      setInterval(() => {}, 1000)
      console.log('here')`
    const { child, said } = underInit(program)
    assert.equal(await said, 'here\n')
    child.kill(signal)
    assert.deepEqual(await once(child, 'exit'), [3, null], signal)
  }
})
