import { createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';

/** A bare Aedes on loopback, TCP only. */
export interface LoopbackBroker {
  readonly url: string;
  close(): Promise<void>;
}

export async function loopbackBroker(): Promise<LoopbackBroker> {
  const broker = await Aedes.createBroker();
  const server: Server = createServer({ noDelay: true }, broker.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    close: async () => {
      await new Promise<void>((resolve) => broker.close(resolve));
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
