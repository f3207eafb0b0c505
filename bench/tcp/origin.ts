// The origin of the layer 4 benchmark: `node origin.ts PORT`. See talk.ts for what it understands.

import { createServer, type Socket } from 'node:net'
import { blockBytes, shortAnswerBytes, wish } from './talk.ts'

const answer = Buffer.alloc(shortAnswerBytes, 120)
const block = Buffer.alloc(blockBytes, 120)

function pour(socket: Socket): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(block));
  }
  socket.on('drain', more)
  more()
}

function serve(socket: Socket): void {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  let wanted = 0
  socket.on('data', bytes => {
    if (wanted === 0) {
      wanted = bytes[0] as number
      if (wanted === wish.short) socket.write(answer)
      else if (wanted === wish.down) pour(socket)
    }
    if (wanted === wish.trips) socket.write(bytes)
  })
}

if (import.meta.main) createServer(serve).listen(Number(process.argv[2]), '127.0.0.1', 4_096)
