import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifiedAccounts } from './subjects.ts'

test('of bans only those of verified accounts end what an account holds: nobody is framed by sending a name', () => {
  const keys = [
    'account:ada',
    'account:bob@mail.example',
    'account:eve@192.0.2.1',
    'account:eve@mail.example@2001:db8::/64',
    'session:x',
    '192.0.2.7',
  ]
  assert.deepEqual(verifiedAccounts(keys), ['ada', 'bob@mail.example'])
})
