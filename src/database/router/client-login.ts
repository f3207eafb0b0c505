// A client before it is one: the first packets, TLS, who it is. Everything until ReadyForQuery has one deadline. Who asks for
// what is not served is told in PostgreSQL's words, so that whether a user exists can't be told from the answer.

import type { Stream, StreamHandler } from '../../io/net.ts'
import type { TlsServer } from '../../io/tls.ts'
import { Timed } from '../../kit/timer-wheel.ts'
import {
  encryptionAccepted,
  encryptionRefused,
  frameProblem,
  frontend,
  frontendFrameBytes,
  isTlsHandshake,
  minorVersionMax,
  negotiateProtocolVersion,
  passwordMessageBytesMax,
  readStartup,
  type StartupMessage,
  startupBytes,
  startupProblem,
} from '../../wire/postgres/index.ts'
import type { ClientLogin as Login } from '../auth/index.ts'
import type { CancelKeys, Cancellable } from './cancels.ts'
import type { DatabaseRouting } from './database-routing.ts'
import { commandLineSettings, startupSetting } from './settings.ts'
import { plainError, protocolError, routerError, type SqlError } from './sql-errors.ts'

/** What a login must know of the database that it is for. */
export type LoginDatabase = Pick<DatabaseRouting, 'context' | 'spec' | 'users'>

/** What a listener brings to each client. */
export interface Door {
  readonly database: LoginDatabase
  /** A client's session, made when it has proven who it is. */
  readonly sessionOf: (stream: Stream, start: DoorStart) => DoorSession
  readonly tls: TlsServer | null
  readonly keys: CancelKeys
  /** Connections that are open here, logins included. */
  clients: number
}

export interface DoorStart {
  readonly userName: string
  /** Statements by setting. */
  readonly settings: ReadonlyMap<string, string>
  readonly processId: number
  readonly key: Buffer
  /** When it ends. */
  readonly over: () => void
}

export interface DoorSession extends StreamHandler, Cancellable {
  begin(): void
}

const requestsMax = 2
const keyBytesOld = 4
/** Protocol 3.2: as PostgreSQL 18 makes them. */
const keyBytes = 32

export class ClientLogin extends Timed implements StreamHandler {
  readonly #door: Door
  readonly #stream: Stream
  #login: Login | null = null
  #startup: StartupMessage | null = null
  /** Statements by setting; made into a set that is remembered only when it is known who asks. */
  #settings: ReadonlyMap<string, string> | null = null
  #tail: Buffer | null = null
  #databaseAsked = ''
  #requests = 0
  #encrypted = false
  #over = false

  constructor(door: Door, stream: Stream) {
    super()
    this.#door = door
    this.#stream = stream
    door.clients++
    const { context, spec } = door.database
    context.wheel.set(this, context.now + spec.pool.loginTimeoutMs * 1000)
  }

  opened(): void {}
  drained(): void {}
  ended(): void {
    this.#leave()
    this.#stream.destroy()
  }
  closed(): void {
    this.#leave()
  }
  override expired(): void {
    this.ended()
  }

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.#door.database.context.refresh()
    if (this.#tail !== null) {
      bytes = Buffer.concat([this.#tail, bytes.subarray(0, length)])
      length = bytes.length
      this.#tail = null
    }
    const used = this.#login === null ? this.#first(bytes, length) : this.#password(bytes, length)
    if (used === 0 && !this.#over) this.#tail = Buffer.from(bytes.subarray(0, length))
    else if (used < length && used > 0 && !this.#over)
      this.data(this.#stream, Buffer.from(bytes.subarray(used, length)), length - used)
  }

  // --- first packets ------------------------------------------------------------------------------------------

  /** Bytes that were dealt with; 0: more are needed. */
  #first(bytes: Buffer, length: number): number {
    if (isTlsHandshake(bytes[0] as number) && !this.#encrypted && this.#requests === 0)
      return this.#direct(bytes, length)
    const size = startupBytes(bytes, 0, length)
    if (size < 0) return this.#refuse(protocolError(startupProblem(size)))
    if (size === 0 || size > length) return 0
    const packet = readStartup(bytes, 0, size)
    switch (packet.kind) {
      case 'problem':
        return this.#refuse(protocolError(packet.problem))
      case 'ssl':
      case 'gss-encryption':
        return this.#request(packet.kind === 'ssl' && this.#door.tls !== null, size, length)
      case 'cancel':
        this.#door.keys.find(packet.processId, packet.key)?.cancel()
        this.#stream.end()
        this.#leave()
        return size
      default:
        return this.#begin(packet) ? size : -1
    }
  }

  #request(accepted: boolean, size: number, length: number): number {
    // What follows was not encrypted, and may be somebody else's (CVE-2021-23222).
    if (++this.#requests > requestsMax || size < length)
      return this.#refuse(
        protocolError({
          code: '08P01',
          sentence: 'Nothing may follow a request for encryption before its answer.',
        }),
      )
    const answer = accepted && !this.#encrypted ? encryptionAccepted : encryptionRefused
    this.#stream.writeBytes(answer, 0, 1)
    if (accepted && !this.#encrypted) this.#secure()
    return size
  }

  /** Without SSLRequest, as libpq's sslnegotiation=direct does it. */
  #direct(bytes: Buffer, length: number): number {
    if (this.#door.tls === null) {
      this.ended()
      return -1
    }
    this.#stream.unshift(Buffer.from(bytes.subarray(0, length)))
    this.#secure()
    return length
  }

  #secure(): void {
    this.#encrypted = true
    this.#stream.startTls(this.#door.tls as TlsServer)
  }

  // --- who it is ----------------------------------------------------------------------------------------------

  #begin(packet: StartupMessage): boolean {
    const { database } = this.#door
    const { context, spec } = database
    const { parameters } = packet
    const user = parameters.get('user') ?? ''
    const asked = parameters.get('database') ?? user
    if (user === '')
      return this.#refused(plainError('28000', 'no PostgreSQL user name specified in startup packet', true))
    if (/^(on|true|yes|1|database)$/i.test(parameters.get('replication') ?? 'off'))
      return this.#refused(
        routerError('replicationRefused', 'The router passes on no replication connections.', true),
      )
    if (context.draining) return this.#refused(routerError('routerStopping', 'The router stops.', true))
    if (this.#door.clients > spec.pool.clientsMax)
      return this.#refused(
        routerError('clientsFull', `${spec.pool.clientsMax} clients are connected already.`, true),
      )
    const settings = this.#settingsOf(parameters)
    if (settings === null)
      return this.#refused(
        routerError(
          'settingInvalid',
          "The connection's options are not understood: only -c NAME=VALUE and --NAME=VALUE are.",
          true,
        ),
      )
    this.#startup = packet
    this.#settings = settings
    this.#databaseAsked = asked
    this.#login = context.logins.login(user, database.users.get(user)?.password ?? null)
    if (packet.minorVersion > minorVersionMax || packet.options.length > 0)
      this.#send(negotiateProtocolVersion(Math.min(packet.minorVersion, minorVersionMax), packet.options))
    this.#send(this.#login.begin())
    return true
  }

  #settingsOf(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> | null {
    const values = new Map<string, string>()
    for (const [name, value] of parameters) {
      const key = name.toLowerCase()
      if (key === 'user' || key === 'database' || key === 'replication') continue
      if (key !== 'options') {
        values.set(key, startupSetting(key, value))
        continue
      }
      const given = commandLineSettings(value)
      if (given === null) return null
      for (const [option, text] of given) values.set(option, startupSetting(option, text))
    }
    return values
  }

  // --- the proof ----------------------------------------------------------------------------------------------

  #password(bytes: Buffer, length: number): number {
    const size = frontendFrameBytes(bytes, 0, length, passwordMessageBytesMax)
    if (size < 0) return this.#refuse(protocolError(frameProblem(size)))
    if (size === 0 || size > length) return 0
    if (bytes[0] !== frontend.password)
      return this.#refuse(
        protocolError({ code: '08P01', sentence: 'Only a password is expected before the login is done.' }),
      )
    const step = (this.#login as Login).take(Buffer.from(bytes.subarray(5, size)))
    if (step.kind === 'refused') return this.#refuse(plainError(step.code, step.message, true))
    if (step.bytes !== null) this.#send(step.bytes)
    if (step.kind === 'send') return size
    const { database, name } = this.#door.database.spec
    if (this.#databaseAsked !== database && this.#databaseAsked !== name)
      return this.#refuse(plainError('3D000', `database "${this.#databaseAsked}" does not exist`, true))
    this.#finish(bytes.subarray(size, length))
    return length
  }

  #finish(rest: Buffer): void {
    const { database, keys } = this.#door
    const { parameters, minorVersion } = this.#startup as StartupMessage
    this.#over = true
    database.context.wheel.remove(this)
    const given = keys.give(() => session, minorVersion >= 2 ? keyBytes : keyBytesOld)
    const session: DoorSession = this.#door.sessionOf(this.#stream, {
      userName: parameters.get('user') as string,
      settings: this.#settings as ReadonlyMap<string, string>,
      ...given,
      over: () => {
        this.#door.clients--
        keys.forget(given.processId)
      },
    })
    this.#stream.handler = session
    if (rest.length > 0) this.#stream.unshift(Buffer.from(rest))
    session.begin()
  }

  #send(bytes: Buffer): void {
    this.#stream.writeBytes(bytes, 0, bytes.length)
  }

  #refused(error: SqlError): boolean {
    this.#refuse(error)
    return false
  }

  #refuse(error: SqlError): number {
    this.#send(error.frame)
    this.#stream.end()
    this.#leave()
    return -1
  }

  #leave(): void {
    if (this.#over) return
    this.#over = true
    this.#door.clients--
    this.#door.database.context.wheel.remove(this)
  }
}
