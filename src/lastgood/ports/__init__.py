"""The world as this product sees it: what the operations ask of it, and nothing of how it is done.

Each port has a contract suite in ``lastgood.testing.contracts`` which the fake in ``lastgood.testing`` and the real
one in ``lastgood.effects`` both pass.
"""

from lastgood.ports.artifacts import ARTIFACT as ARTIFACT
from lastgood.ports.artifacts import ArchiveSource as ArchiveSource
from lastgood.ports.artifacts import Artifacts as Artifacts
from lastgood.ports.artifacts import Bundle as Bundle
from lastgood.ports.artifacts import BundleFile as BundleFile
from lastgood.ports.artifacts import Held as Held
from lastgood.ports.artifacts import MadeOf as MadeOf
from lastgood.ports.artifacts import Recipe as Recipe
from lastgood.ports.checks import Checked as Checked
from lastgood.ports.checks import Checks as Checks
from lastgood.ports.clock import Clock as Clock
from lastgood.ports.crons import CronTrigger as CronTrigger
from lastgood.ports.crons import Fired as Fired
from lastgood.ports.driver import Driver as Driver
from lastgood.ports.functions import FunctionAnswer as FunctionAnswer
from lastgood.ports.functions import FunctionRequest as FunctionRequest
from lastgood.ports.functions import Functions as Functions
from lastgood.ports.functions import FunctionTraffic as FunctionTraffic
from lastgood.ports.functions import FunctionVersion as FunctionVersion
from lastgood.ports.functions import Standing as Standing
from lastgood.ports.journal import Journal as Journal
from lastgood.ports.journal import JournalFull as JournalFull
from lastgood.ports.journal import Lease as Lease
from lastgood.ports.measurements import Evidence as Evidence
from lastgood.ports.measurements import Measurements as Measurements
from lastgood.ports.processes import KeeperAway as KeeperAway
from lastgood.ports.processes import Processes as Processes
from lastgood.ports.proxies import Convergence as Convergence
from lastgood.ports.proxies import Proxies as Proxies
from lastgood.ports.proxies import ProxyState as ProxyState
from lastgood.ports.repository import BranchHead as BranchHead
from lastgood.ports.repository import BranchNews as BranchNews
from lastgood.ports.repository import Gone as Gone
from lastgood.ports.repository import Head as Head
from lastgood.ports.repository import Moved as Moved
from lastgood.ports.repository import Pushed as Pushed
from lastgood.ports.repository import Repository as Repository
from lastgood.ports.repository import Reverted as Reverted
from lastgood.ports.repository import RevertOrder as RevertOrder
from lastgood.ports.repository import Revision as Revision
from lastgood.ports.repository import Rewritten as Rewritten
from lastgood.ports.repository import SourceFile as SourceFile
from lastgood.ports.repository import TreeFile as TreeFile
from lastgood.ports.repository import Unchanged as Unchanged
from lastgood.ports.repository import Uncommitted as Uncommitted
from lastgood.process import ProcessSpec as ProcessSpec
from lastgood.process import ProcessState as ProcessState
from lastgood.stamp import Stamp as Stamp
