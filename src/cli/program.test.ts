import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from '../system/index.ts'
import type { CommandInput } from './command.ts'
import { commands } from './commands.ts'
import { exitCodeOf, failureJson, failureText } from './failure-text.ts'
import { cliFailures } from './failures.ts'
import { wholeNumber } from './numbers.ts'
import { buildProgram, runCommandLine } from './program.ts'
import { cliReference } from './reference.ts'
import { type Terminal, tableLines } from './terminal.ts'

function terminal(): Terminal & { printed: string[]; complained: string[] } {
  const printed: string[] = []
  const complained: string[] = []
  return {
    printed,
    complained,
    interactive: false,
    columns: 0,
    print: text => void printed.push(text),
    complain: text => void complained.push(text),
    live: () => {},
    ask: async () => null,
    redraw: text => void printed.push(text),
    paint: (_, text) => text,
  }
}

async function parsed(line: string): Promise<CommandInput & { name: string }> {
  let found: (CommandInput & { name: string }) | undefined
  const program = buildProgram(terminal(), async (definition, input) => {
    found = { name: definition.name, ...input }
  })
  await program.parseAsync(['node', 'tenfold', ...line.split(' ')])
  assert.ok(found)
  return found
}

test('the system file is the last argument of every command that takes one, and the folder here without it', async () => {
  assert.equal((await parsed('up')).file, '.')
  assert.equal((await parsed('up shop.config.ts')).file, 'shop.config.ts')
  const scaled = await parsed('scale web 3 shop.config.ts --state /s --json')
  assert.deepEqual(scaled.args, { service: 'web', count: '3' })
  assert.deepEqual(
    [scaled.file, scaled.stateDirectory, scaled.environment, scaled.json],
    ['shop.config.ts', '/s', undefined, true],
  )
  assert.equal((await parsed('check --env production')).environment, 'production')
})

test('an optional argument that is clearly a path is the file', async () => {
  const byName = await parsed('logs web')
  assert.deepEqual([byName.args.service, byName.file], ['web', '.'])
  for (const path of ['examples/shop', 'shop.config.ts', '..', './x']) {
    const byPath = await parsed(`logs ${path}`)
    assert.deepEqual([byPath.args.service, byPath.file], [undefined, path], path)
  }
  assert.deepEqual((await parsed('rollback 3 x.mjs')).args, { number: '3' })
})

test('options have their defaults', async () => {
  assert.equal((await parsed('logs')).options.lines, '100')
  assert.equal((await parsed('up')).options.watch, true)
  assert.equal((await parsed('up --no-watch')).options.watch, false)
})

test('wrong words get the nearest right one and exit code 2; help is 0', async () => {
  const run = async (...line: string[]): Promise<[number, string]> => {
    const seen = terminal()
    const code = await runCommandLine(['node', 'tenfold', ...line], seen)
    return [code, [...seen.printed, ...seen.complained].join('\n')]
  }
  const [unknown, unknownText] = await run('statsu')
  assert.equal(unknown, 2)
  assert.match(unknownText, /Did you mean status/)
  assert.match((await run('up', '--no-wach'))[1], /Did you mean --no-watch/)
  assert.equal((await run('scale', 'web'))[0], 2)
  assert.equal((await run('run', 'moon'))[0], 2)
  for (const { name, examples } of commands) {
    const [code, text] = await run(name, '--help')
    assert.equal(code, 0)
    assert.ok(text.includes(`tenfold ${examples[0]?.[0]}`), `${name} shows an example`)
  }
  assert.match((await run('--help'))[1], /Exit codes/)
})

test('an option with a value that is given twice is refused: of two SQL commands the first would be lost', async () => {
  const at = terminal()
  const code = await runCommandLine(['node', 'tenfold', 'db', 'psql', '-c', 'SELECT 1', '-c', 'SELECT 2'], at)
  assert.equal(code, 2)
  assert.match(at.complained.join('\n'), /--command.*once/)
  assert.equal((await parsed('logs web --lines 5')).options.lines, '5')
})

test('a failure is told with its remedy and code, and says by its exit code whose it is', () => {
  const failure = new Failure(systemFailures.portTaken, 'Port 1 is taken.', {
    details: { remedy: 'Free it.' },
  })
  assert.equal(
    failureText(failure, (_, text) => text),
    'error: Port 1 is taken.\n  Free it.\n  SYSTEM_PORT_TAKEN',
  )
  assert.deepEqual(failureJson(failure), {
    error: { code: 'SYSTEM_PORT_TAKEN', message: 'Port 1 is taken.', remedy: 'Free it.' },
  })
  assert.equal(exitCodeOf(failure), 1)
  assert.equal(exitCodeOf(new Failure(cliFailures.numberInvalid, '')), 2)
  assert.equal(exitCodeOf(new Error('a fault')), 1)
  assert.match(
    failureText(new Error('a fault'), (_, text) => text),
    /bug of Tenfold/,
  )
})

test('numbers are whole', () => {
  assert.equal(wholeNumber('12', 'count'), 12)
  for (const text of ['', '-1', '1.5', 'x', '1e3', '9999999999']) {
    assert.throws(() => wholeNumber(text, 'count'), { code: 'CLI_NUMBER_INVALID' }, text)
  }
})

test('table columns are as wide as their widest cell, whatever its colour', () => {
  const lines = tableLines(
    [{ title: 'A' }, { title: 'B', align: 'right' }, { title: 'C' }],
    [
      ['\u001b[32mlong\u001b[39m', '1', 'x'],
      ['s', '100', ''],
    ],
  )
  assert.deepEqual(lines, ['A       B  C', '\u001b[32mlong\u001b[39m    1  x', 's     100'])
})

test('the reference page is what the table of commands says', () => {
  for (const [path, content] of Object.entries(cliReference())) {
    assert.equal(
      readFileSync(join(import.meta.dirname, '../..', path), 'utf8'),
      content,
      `${path}: npm run generate`,
    )
  }
})
