// The load: `node load.ts PORT WISH SECONDS CONNECTIONS` -> one line of JSON. A closed loop of that many connections. What
// has not ended when the time is up does not count.

import { connect, type Socket } from 'node:net'
import {
  blockBytes,
  type LoadResult,
  shortAnswerBytes,
  shortBytes,
  tripBytes,
  type Wish,
  wish,
} from './talk.ts'

const [port = '0', kind = 'short', seconds = '1', connections = '1'] = process.argv.slice(2)
const target = { port: Number(port), host: '127.0.0.1', noDelay: true }
let count = 0
let errors = 0
let over = false

function opened(first: Buffer): Socket {
  const socket = connect(target, () => socket.write(first))
  socket.on('error', () => {
    if (!over) errors++
  })
  return socket
}

const start = (what: Wish, length: number): Buffer => Buffer.alloc(length, wish[what])

function short(): void {
  if (over) return
  let missing = shortAnswerBytes
  const socket = opened(start('short', shortBytes))
  socket.on('data', bytes => {
    missing -= bytes.length
    if (missing === 0) socket.end()
  })
  socket.on('close', () => {
    if (missing === 0 && !over) count++
    else if (!over) errors++
    short()
  })
}

function trips(): void {
  const message = start('trips', tripBytes)
  let missing = tripBytes
  const socket = opened(message)
  socket.on('data', bytes => {
    missing -= bytes.length
    if (missing > 0) return
    if (!over) count++
    missing = tripBytes
    socket.write(message)
  })
}

function down(): void {
  opened(start('down', 1)).on('data', bytes => {
    if (!over) count += bytes.length
  })
}

function up(): void {
  const block = start('up', blockBytes)
  const socket = opened(start('up', 1))
  const more = (): void => {
    socket.write(block, () => {
      if (over) return
      count += blockBytes
      more()
    })
  }
  for (let i = 0; i < 4; i++) more()
}

const run = { short, trips, down, up }[kind as Wish]
for (let i = 0; i < Number(connections); i++) run()
setTimeout(() => {
  over = true
  console.log(JSON.stringify({ count, seconds: Number(seconds), errors } satisfies LoadResult))
  process.exit(0)
}, Number(seconds) * 1000)
