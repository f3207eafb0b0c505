// What a hash policy or a sticky rule hashes: text taken from the request.

import type { CompiledRoute, CompiledSnapshot } from './compile.ts'
import type { Exchange } from './exchange.ts'
import { clientAddress } from './request-text.ts'
import type { BalanceSpec } from './snapshot.ts'
import { cookieValue, queryValue } from './sticky.ts'

/** A request that lacks the key falls back to the client's address, so that it still sticks to something. */
export function keyOf(exchange: Exchange, balance: BalanceSpec): string {
  const value = 'key' in balance ? keyValue(exchange, balance.key) : undefined
  return value ?? clientAddress(exchange)
}

type Key = Extract<BalanceSpec, { key: unknown }>['key']

function keyValue(exchange: Exchange, key: Key): string | undefined {
  const { head } = exchange
  switch (key.by) {
    case 'ip':
      return clientAddress(exchange)
    case 'url':
      return exchange.target
    case 'header':
      return head.find(key.name.toLowerCase())
    case 'cookie': {
      const cookies = head.find('cookie')
      return cookies === undefined ? undefined : cookieValue(cookies, key.name)
    }
    case 'query':
      return queryValue(exchange.target, key.name)
    case 'path': {
      const route = exchange.route as CompiledRoute
      return (exchange.snapshot as CompiledSnapshot).table.parameter(route.index, exchange.path, key.name)
    }
  }
}
