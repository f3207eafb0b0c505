import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { readPassword } from './password-entry.ts'

/** Types a line after each question. */
async function typed(terminal: boolean, ...lines: readonly string[]): Promise<[string, string]> {
  const input = Object.assign(new PassThrough(), { isTTY: terminal })
  const prompts = new PassThrough()
  let shown = ''
  const rest = [...lines]
  const next = (): void => {
    const line = rest.shift()
    if (line !== undefined) input.write(line)
  }
  prompts.on('data', piece => {
    shown += String(piece)
    if (/: $/.test(shown)) setImmediate(next)
  })
  if (!terminal) input.end(lines.join(''))
  const password = await readPassword(input as unknown as NodeJS.ReadStream, prompts)
  return [password, shown]
}

test('a person is asked twice, and nothing of what is typed is shown', async () => {
  const [password, shown] = await typed(true, 'correct horse\r', 'correct horse\r')
  assert.equal(password, 'correct horse')
  assert.equal(shown, 'Password: \nOnce more: \n')
})

test('passwords that differ or are too short are refused', async () => {
  await assert.rejects(typed(true, 'correct horse\r', 'correct house\r'), /The two passwords differ/)
  await assert.rejects(typed(true, 'short\r'), /has 5 characters; 8 to 1024 are allowed/)
  await assert.rejects(typed(false, 'short\nlonger than that\n'), /has 5 characters/)
  await assert.rejects(typed(false, 'x'.repeat(5_000)), /characters/)
})

test('of what is piped in the first line counts', async () => {
  assert.deepEqual(await typed(false, 'correct horse\r\nmore\n'), ['correct horse', ''])
})
