import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action, CommandInput } from '../command.ts'
import { purge, push } from './purge.ts'

/** There is no system behind it: what is refused here is refused before one is asked. */
async function refused(
  action: Action,
  given: Partial<CommandInput>,
  code: string,
  text: RegExp,
): Promise<void> {
  const input = { options: {}, lists: {}, args: {}, json: false, ...given } as CommandInput
  await assert.rejects(
    async () => action(input),
    (error: Error & { code?: string }) => error.code === code && text.test(error.message),
  )
}

test('a purge of nothing is refused, and one of everything that also names a page', async () => {
  await refused(purge, {}, 'CLI_ARGUMENT_MISSING', /nothing was purged/)
  const all = { options: { all: true } }
  await refused(purge, { ...all, lists: { url: ['/films'] } }, 'CLI_OPTION_INVALID', /--all beside a URL/)
  await refused(purge, { ...all, lists: { tag: ['films'] } }, 'CLI_OPTION_INVALID', /nothing was purged/)
})

test('what a push would say of a file is refused where no file is given', async () => {
  const lists = { url: ['http://shop.example/'] }
  await refused(push, { lists, options: { ttl: '1d' } }, 'CLI_OPTION_INVALID', /--ttl is for what --file/)
  await refused(push, { lists, options: { type: 'a/b' } }, 'CLI_OPTION_INVALID', /--type is for/)
  await refused(push, { lists: { ...lists, tag: ['a'] } }, 'CLI_OPTION_INVALID', /--tag is for/)
})
