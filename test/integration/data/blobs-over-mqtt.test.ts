import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';
import { blobSuite } from '../../unit/data/blob-suite.ts';
import { loopbackBroker } from './aedes-broker.ts';

blobSuite('Aedes on loopback', async () => {
  const broker = await loopbackBroker();
  let clients = 0;
  return {
    connect: () => connectMqtt({ url: broker.url, clientId: `c${clients++}` }),
    close: () => broker.close(),
  };
});
