# SPDX-License-Identifier: MIT
"""Help pages. A test parses every example with the real parser, and measures it: az breaks what is wider itself."""

from knack.help_files import helps

helps["acr import"] = r"""
type: command
short-summary: Import an image or OCI artifact from any registry into an Azure container registry, without Docker.
long-summary: >
    The image comes with all its platforms, signatures, SBOMs and
    attestations, and keeps its digest. It moves through this machine, or by
    the registry's own service where this machine may not go, or where much
    would move inside Azure. What the target has already does not move. The
    tag is written last: it names a complete image, or is as it was.


    The result goes to standard output, everything else to standard error.
    Exit code 0: imported, or there already. 1: failed. 2: wrong usage.
    3: the source or a registry does not exist.
parameters:
  - name: --source
    long-summary: |
        Or files of this machine: docker-archive:FILE[:REPOSITORY:TAG],
        oci-archive:FILE[:TAG], or oci:DIR[:TAG].
examples:
  - name: From Docker Hub, with all platforms
    text: |
        az acr import --name myregistry \
          --source docker.io/library/hello-world:latest
  - name: From the Microsoft Container Registry, under two names
    text: |
        az acr import --name myregistry \
          --source mcr.microsoft.com/hello-world:latest \
          --image base/hello:1.0 --image base/hello:stable
  - name: From Docker Hub with a personal access token, which is in a file
    text: |
        az acr import --name myregistry \
          --source docker.io/contoso/app:1.0 \
          --username contoso --password @token.txt
  - name: From any other private registry; the password comes from standard input
    text: |
        cat password.txt | az acr import --name myregistry \
          --source registry.contoso.com:5000/team/app:1.0 \
          --username robot --password @-
  - name: From another registry in Azure, as you are signed in with az login
    text: |
        az acr import --name myregistry \
          --source mysourceregistry.azurecr.io/app/web:v1
  - name: From a registry in another subscription, by its resource ID
    text: |
        id=$(az acr show --name otherregistry --query id --output tsv \
          --subscription "Other subscription") &&
        az acr import --name myregistry --source app/web:v1 --registry $id
  - name: From a registry that is closed to the public; by its ID the service gets in
    text: |
        id=$(az acr show --name closedregistry --query id --output tsv) &&
        az acr import --name myregistry --source app/web:v1 --registry $id
  - name: From a registry in another tenant, with a token or service principal of it
    text: |
        az acr import --name myregistry \
          --source foreignregistry.azurecr.io/app/web:v1 \
          --username puller --password @password.txt
  - name: From a registry in another tenant, with an Entra access token
    text: |
        az account get-access-token --tenant contoso.com \
          --resource https://containerregistry.azure.net \
          --query accessToken --output tsv |
          az acr import --name myregistry --password @- \
            --source foreignregistry.azurecr.io/app/web:v1
  - name: Exactly one image, by its digest
    text: |
        az acr import --name myregistry --image app/web:v1 \
          --source mysourceregistry.azurecr.io/app/web@$digest
  - name: By digest only, without a tag
    text: |
        az acr import --name myregistry --repository app/web \
          --source mysourceregistry.azurecr.io/app/web@$digest
  - name: Promotion inside one registry; nothing moves
    text: |
        az acr import --name myregistry --image prod/web:v1 \
          --source myregistry.azurecr.io/dev/web:v1
  - name: A Helm chart, with what docker login has left
    text: |
        az acr import --name myregistry --image charts/app:1.2.3 \
          --source ghcr.io/contoso/charts/app:1.2.3
  - name: Two platforms of many; the digest changes with that
    text: |
        az acr import --name myregistry \
          --source docker.io/library/alpine:3.20 \
          --platform linux/amd64,linux/arm64
  - name: The image alone, without signatures and SBOMs
    text: |
        az acr import --name myregistry --referrers none \
          --source mysourceregistry.azurecr.io/app/web:v1
  - name: What docker save has written, where there is no network to the source
    text: |
        az acr import --name myregistry --image app/web:v1 \
          --source docker-archive:app.tar
  - name: One image of an OCI layout in an archive
    text: |
        az acr import --name myregistry --image app/web:v1 \
          --source oci-archive:images.tar:v1
  - name: One image of an OCI layout in a folder
    text: |
        az acr import --name myregistry --image app/web:v1 \
          --source oci:images:v1
  - name: Look first; nothing is changed
    text: |
        az acr import --name myregistry --dry-run --output table \
          --source docker.io/library/alpine:3.20
  - name: Move a tag that names another image
    text: |
        az acr import --name myregistry --force \
          --source docker.io/library/alpine:3.20 --image alpine:stable
  - name: By the registry's own service, for ten minutes at most
    text: |
        az acr import --name myregistry --engine service --timeout 600 \
          --source mcr.microsoft.com/hello-world:latest
  - name: Hand over to the service, and wait for it later
    text: |
        operation=$(az acr import --name myregistry --no-wait \
          --source mcr.microsoft.com/hello-world:latest \
          --query operation --output tsv) &&
        az acr import-wait --operation "$operation"
  - name: Through the endpoint of one region; the resource group is named
    text: |
        az acr import --name myregistry.eastus.geo.azurecr.io \
          --resource-group sandbox \
          --source mcr.microsoft.com/hello-world:latest
  - name: Between two registries that are not in Azure, with few connections
    text: |
        az acr import --name localhost:5000 --jobs 4 \
          --source localhost:5001/team/app:1.0
  - name: Into a registry of another cloud
    text: |
        az cloud set --name AzureUSGovernment &&
        az acr import --name myregistry \
          --source docker.io/library/hello-world:latest
"""

helps["acr import-batch"] = r"""
type: command
short-summary: Import many images from a list, a file, repositories by patterns, or a whole registry.
long-summary: >
    Each layer moves once, however many images share it. A failure stops
    nothing else, and the report says what has become of each image. The same
    command again does only what is missing: an image that is there costs one
    request to each side, and no pull at Docker Hub. Repositories keep their
    path, unless --prefix, --strip-prefix or a target in the file changes it.


    The report goes to standard output, also after a failure; everything else
    to standard error. Exit code 0: all imported, or there already. 1: something
    failed. 2: wrong usage. 3: the target or the only source does not exist.
parameters:
  - name: --shard
    long-summary: |
        $(System.JobPositionInPhase)/$(System.TotalJobsInPhase)
        shares it out among the jobs of Azure Pipelines.
examples:
  - name: The images of a list, one a line; a second word is the name in the target
    text: |
        az acr import-batch --name myregistry --file images.txt
  - name: A list that another program writes
    text: |
        grep -v test images.txt |
          az acr import-batch --name myregistry --file -
  - name: What a batch file says, with a report for the tests of a pipeline
    text: |
        az acr import-batch --file batch.yaml --report report.xml
  - name: The five newest tags of a range, without some, under another path
    text: |
        az acr import-batch --name myregistry \
          --source docker.io/library/alpine \
          --tags ">=3.18 <4" --exclude "*-rc*" --newest 5 \
          --strip-prefix library --prefix base/
  - name: Single tags and patterns, of two repositories
    text: |
        az acr import-batch --name myregistry \
          --source docker.io/library/nginx \
          --source docker.io/library/redis \
          --tags latest "1.2?" "/^7\.[24]$/"
  - name: A whole registry, with all signatures
    text: |
        az acr import-batch --name newregistry \
          --source oldregistry.azurecr.io --referrers all
  - name: One repository of a registry that is closed to the public; by its ID
    text: |
        id=$(az acr show --name closedregistry --query id --output tsv) &&
        az acr import-batch --name myregistry --registry $id \
          --source app/web --tags v1
  - name: Look first, also at how many pulls Docker Hub still allows
    text: |
        az acr import-batch --name myregistry --dry-run --output table \
          --source docker.io/library/alpine
  - name: Leave tags alone that name another image by now
    text: |
        az acr import-batch --name myregistry --file images.txt \
          --on-conflict skip
  - name: Move tags that name another image; one platform of each image only
    text: |
        az acr import-batch --name myregistry --file images.txt \
          --force --platform linux/amd64
  - name: The second of five parts; give up at the first failure, or after an hour
    text: |
        az acr import-batch --name myregistry --file images.txt \
          --shard 2/5 --fail-fast --timeout 3600
  - name: From a private registry, with a password that is in a file
    text: |
        az acr import-batch --name myregistry \
          --source registry.contoso.com/team/app \
          --username robot --password @password.txt
  - name: By the registry's own service, four images at once
    text: |
        az acr import-batch --name myregistry --file images.txt \
          --engine service --jobs 4 --resource-group sandbox
"""

helps["acr import-wait"] = r"""
type: command
short-summary: Wait for an import that the registry's own service does.
long-summary: Ctrl-C and --timeout end the waiting. The service goes on.
examples:
  - name: For what was handed over with --no-wait, ten minutes at most
    text: |
        az acr import-wait --operation "$operation" --timeout 600
"""
