// One document: labels by keyboard.
import { startRelabel } from "../lib/relabel";

startRelabel();
