// The example of docs/operate/edge-functions.md, run as it stands there: its files, its commands, what they print.

import assert from 'node:assert/strict'
import { exec } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { root } from '../tools/modules.ts'
import { project } from '../tools/project.ts'

const page = readFileSync(join(root, 'docs/operate/edge-functions.md'), 'utf8')

/** Blocks whose first line names a file. */
function filesOf(text: string): [name: string, content: string][] {
  return [...text.matchAll(/^```(?:ts|js)\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(match => [
    match[1] as string,
    match[2] as string,
  ])
}

/** Commands and what they print. */
function sessionOf(text: string): [command: string, output: string][] {
  const session = /^```\n(\$ [\s\S]*?)^```$/m.exec(text)?.[1] ?? ''
  return session
    .split(/^\$ /m)
    .slice(1)
    .map(part => {
      const at = part.indexOf('\n')
      return [part.slice(0, at), part.slice(at + 1)]
    })
}

test('the example of the page about edge functions does what the page says', async t => {
  const files = filesOf(page)
  const session = sessionOf(page)
  assert.deepEqual(
    files.map(([name]) => name),
    ['accounts.ts', 'edge-hooks.ts', 'web.mjs', 'tenfold.config.ts'],
  )
  assert.equal(session.length, 3)
  const base = project(t)
  // Two more lines than the page has, so that tests beside each other do not meet: any port, and one for the control API.
  for (const [name, content] of files)
    base.write(
      name,
      content
        .replace('http: 8080', "http: '127.0.0.1:0'")
        .replace("name: 'keys',", "name: 'keys', control: { listen: 0 },"),
    )
  const up = await base.up('--no-watch')
  const port = up.status.edge.listeners[0]?.port
  for (const [command, output] of session) {
    const { stdout } = await promisify(exec)(command.replace('localhost:8080', `127.0.0.1:${port}`))
    assert.equal(stdout, output, command)
  }
  const headers = { 'X-Api-Key': 'k-123' }
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers })
  assert.equal(answer.headers.get('x-powered-by'), null)
  assert.match(answer.headers.get('x-request') ?? '', /^[0-9a-f]{24}$/)
  // A change of what the module imports is a change of the system.
  base.write('accounts.ts', "export const accounts = new Map([['k-123', 'lovelace']])\n")
  assert.equal((await base.run('reload')).code, 0)
  const after = await fetch(`http://127.0.0.1:${port}/`, { headers })
  assert.match(await after.text(), /^hello lovelace/)
})
